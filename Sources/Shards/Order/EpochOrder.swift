/// The order of an epoch's shards, and which of their samples belong to one of several ranks.
///
/// Where there are at least as many shards as ranks, the shuffled shards are dealt out; else each rank reads them all
/// and takes every so-manieth sample. Either way the ranks together have every sample once.
struct EpochOrder {
    /// The shards of the rank, by their places in the list.
    let shards: [Int]
    private let rank: Int
    /// Among how many the samples of a shard are shared.
    private let sharers: Int

    /// - Parameter generator: it has the epoch's own sequence, and goes on to draw from the buffer.
    init(shardCount: Int, rank: Int, ranks: Int, from generator: inout SeededGenerator) {
        let all = generator.shuffled(Array(0..<shardCount))
        self.rank = rank
        if shardCount >= ranks {
            shards = stride(from: rank, to: shardCount, by: ranks).map { all[$0] }
            sharers = 1
        } else {
            shards = all
            sharers = ranks
        }
    }

    /// Whether a sample is the rank's, by its number within the shard.
    /// - Parameter position: the shard's place in ``shards``; it turns the ranks, so that none always gets the first.
    func isOurs(_ sample: Int, at position: Int) -> Bool { (sample + position) % sharers == rank % sharers }
}
