/// Which process takes which samples of a batch, of several that make the same batches.
public struct BatchShare: Sendable {
    /// Of this process, from 0.
    public let rank: Int
    /// How many processes there are.
    public let ranks: Int

    /// - Parameters:
    ///   - rank: of this process, from 0.
    ///   - ranks: how many processes there are.
    public init(rank: Int, of ranks: Int) {
        precondition((0..<ranks).contains(rank), "a process is one of several")
        (self.rank, self.ranks) = (rank, ranks)
    }

    /// The places of a process's samples among so many that are assigned together.
    public func range(of count: Int, rank: Int) -> Range<Int> { count * rank / ranks..<count * (rank + 1) / ranks }

    /// The process that decodes the sample at a place among those that are assigned together.
    /// - Parameter count: samples of a batch.
    func owner(of place: Int, of count: Int) -> Int { ((place % count + 1) * ranks - 1) / count }

    /// The process that takes each sample of a batch: the one that decoded it, unless that has its share already.
    ///
    /// Where no sample of those assigned together is broken, a batch has each place once. So it does once a broken one's
    /// place is filled by the next sample of its bucket, from the batch after: only in the one batch that has the gap some
    /// process may lack a sample, and takes one that another has decoded too.
    /// - Parameter places: of the samples among those that each was assigned with.
    func takers(of places: [Int]) -> [Int] {
        var room = (0..<ranks).map { range(of: places.count, rank: $0).count }
        var takers = places.map { place -> Int? in
            let owner = owner(of: place, of: places.count)
            guard room[owner] > 0 else { return nil }
            room[owner] -= 1
            return owner
        }
        for index in takers.indices where takers[index] == nil {
            guard let free = room.firstIndex(where: { $0 > 0 }) else { break }
            room[free] -= 1
            takers[index] = free
        }
        return takers.map { $0 ?? 0 }
    }
}
