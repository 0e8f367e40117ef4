import Failures
import Files
import JSON

/// What decides the order of a stream's samples: a position means nothing in a stream of another origin.
public struct StreamOrigin: Equatable, Sendable {
    /// SHA-256 of the shards' names, in hexadecimal.
    let shards: String
    /// The seed of the samples' order.
    public let seed: UInt64
    let bufferSize: Int
    let bufferBytes: Int
    let rank: Int
    let ranks: Int

    init(_ shards: [Shard], _ options: SampleStream.Options) {
        var digest = SHA256()
        for shard in shards { Array((shard.name + "\0").utf8).withUnsafeBytes { digest.update($0) } }
        self.shards = digest.finish()
        seed = options.seed
        bufferSize = options.bufferSize
        bufferBytes = options.bufferBytes
        rank = options.rank
        ranks = options.ranks
    }

    /// Throws what differs from the origin of a saved position.
    func check(_ saved: StreamOrigin) throws {
        if saved.shards != shards {
            throw StreamOrigin.differs(expected: "the same shards under the same names", got: "others")
        }
        if saved.seed != seed {
            throw StreamOrigin.differs(expected: "the order of seed \(saved.seed)", got: "seed \(seed)")
        }
        if saved.bufferSize != bufferSize || saved.bufferBytes != bufferBytes {
            throw StreamOrigin.differs(
                expected: "a shuffle buffer of \(saved.bufferSize) samples and \(saved.bufferBytes) bytes",
                got: "\(bufferSize) samples and \(bufferBytes) bytes")
        }
        if saved.rank != rank || saved.ranks != ranks {
            throw StreamOrigin.differs(
                expected: "rank \(saved.rank) of \(saved.ranks)", got: "rank \(rank) of \(ranks)")
        }
    }

    /// The failure of data, or of its order, that a saved position does not fit.
    static func differs(_ place: Failure.Place? = nil, expected: String, got: String) -> Failure {
        .input(
            "the data is not what it was when the run was saved", at: place, expected: expected, got: got,
            advice: "give the data as the run was started with it, or choose another experiment_id")
    }
}

extension StreamOrigin {
    var json: JSON {
        [
            "shards": .string(shards), "seed": .integer(Int(truncatingIfNeeded: seed)),
            "buffer": [JSON(bufferSize), JSON(bufferBytes)], "rank": [JSON(rank), JSON(ranks)],
        ]
    }

    init?(_ json: JSON) {
        guard let shards = json["shards"]?.stringValue, case .integer(let seed) = json["seed"],
            let buffer = json["buffer"]?.countValues, buffer.count == 2,
            let rank = json["rank"]?.countValues, rank.count == 2
        else { return nil }
        self.shards = shards
        self.seed = UInt64(truncatingIfNeeded: seed)
        (bufferSize, bufferBytes) = (buffer[0], buffer[1])
        (self.rank, ranks) = (rank[0], rank[1])
    }
}
