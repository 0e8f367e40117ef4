import Loading
import Shards

/// What a plan knows of the data: what was read of it, and what that says of all.
///
/// To read every shard of a large dataset takes hours. Of more than ``most`` shards so many are read, spread evenly over
/// the list, and counts are those of the others too in proportion.
struct PlannedData {
    /// How many shards are read without being asked for all.
    static let most = 16

    /// What was found in the shards that were read.
    let read: DatasetReport
    /// How many shards there are.
    let shards: Int

    /// Nothing.
    init() { (read, shards) = (DatasetReport(), 0) }

    /// Looks at data as a run would.
    /// - Parameter progress: told how many shards were read, and how many there are to read.
    init(
        _ all: [Shard], _ configuration: DataConfiguration, readsAll: Bool,
        progress: @escaping @Sendable (_ shards: Int, _ total: Int) -> Void
    ) {
        let chosen = readsAll || all.count <= Self.most ? all : Self.spread(all)
        // Every image would take as long as an epoch of the loader.
        var survey = DatasetSurvey(reading: configuration.reading, decodeLimit: 2000)
        survey.minImageSize = configuration.minImageSize
        survey.texts = configuration.newTokens
        survey.buckets = configuration.buckets
        survey.isScaled = configuration.isScaledDecoding
        // A shard that was read to its end still has samples to be looked at.
        survey.progress = { progress(min($1, chosen.count - 1), chosen.count) }
        if !chosen.isEmpty { progress(0, chosen.count) }
        read = survey.report(on: chosen)
        if !chosen.isEmpty { progress(chosen.count, chosen.count) }
        shards = all.count
    }

    /// The middle ones of as many equal stretches.
    private static func spread(_ all: [Shard]) -> [Shard] {
        (0..<most).map { all[(2 * $0 + 1) * all.count / (2 * most)] }
    }

    /// Whether only some of the shards were read.
    var isSampled: Bool { read.shards < shards }

    /// A count of what was read as one of all shards.
    func ofAll(_ count: Int) -> Int {
        isSampled && read.shards > 0
            ? Int((Double(count) * Double(shards) / Double(read.shards)).rounded()) : count
    }

    var samples: Int { ofAll(read.samples) }
    /// Samples that stay.
    var kept: Int { ofAll(read.kept) }
}
