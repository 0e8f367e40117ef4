import Failures
import Images
import Synchronization
import Testing

@testable import Loading
@testable import Shards

/// Loaders of several processes, here each in a thread, that make the same batches and decode a part of them each.
@Suite struct SharedLoading {
    /// Where they add up numbers.
    private final class Meeting: @unchecked Sendable {
        struct Ended: Error {}
        private let monitor = Monitor()
        private let changed = Monitor.Condition()
        private let ranks: Int
        private var (arrived, round, isOver) = (0, 0, false)
        private var (sums, result): ([Double], [Double]) = ([], [])

        init(_ ranks: Int) { self.ranks = ranks }

        func sum(_ numbers: [Double]) throws -> [Double] {
            try monitor.withLock {
                #expect(arrived == 0 || sums.count == numbers.count)
                sums = arrived == 0 ? numbers : zip(sums, numbers).map(+)
                arrived += 1
                let mine = round
                if arrived == ranks {
                    (result, arrived, round) = (sums, 0, round + 1)
                    changed.broadcast()
                }
                while round == mine {
                    if isOver { throw Ended() }
                    monitor.wait(for: changed)
                }
                return result
            }
        }

        /// Ends the waiting for whoever does not come any more.
        func end() {
            monitor.withLock {
                isOver = true
                changed.broadcast()
            }
        }
    }

    /// What a process has of its loader.
    private struct Loaded: Sendable {
        var batches: [ImageBatch] = []
        var drops = DroppedSamples()
        var data = LoadedData()
        var colourProfiles = 0
        var error: (any Error)?
        /// By the seeds of their conditions, which no two turns have in common.
        var decoded: [UInt64] = []

        var captions: [[String]] { batches.map(\.captions) }
        var states: [LoaderState] { batches.map(\.stateAfter) }
        var turns: [[SampleTurn]] { batches.map { $0.samples.map(\.turn) } }
    }

    /// What makes conditions of the seed and the image's colour.
    /// - Parameter picky: whether every ninth is refused.
    private func preparation(
        _ world: LoadingWorld, picky: Bool, failing: Bool = false,
        _ seen: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) -> SamplePreparation {
        var preparation = SamplePreparation(buckets: world.buckets)
        preparation.conditions = ImageConditions { image, seed in
            if failing { throw Failure.run("the network is broken") }
            if picky, seed % 9 == 0 { throw Failure.input("the image does not suit") }
            seen(seed)
            return ImageCondition(bytes: Array("\(seed)".utf8) + image.image.pixels.prefix(3), isDrawn: true)
        }
        return preparation
    }

    /// What each of so many processes gets of a loader.
    /// - Parameter failing: the process whose filter fails.
    private func load(
        _ world: LoadingWorld, _ ranks: Int, batches: Int = 40, batchSize: Int = 6, picky: Bool = true,
        failing: Int? = nil,
        from state: LoaderState = LoaderState()
    ) throws -> [Loaded] {
        let meeting = Meeting(ranks)
        // Nobody changes it.
        nonisolated(unsafe) let world = world
        let results = Mutex([Loaded](repeating: Loaded(), count: ranks))
        let threads = try (0..<ranks).map { rank in
            try WorkThread {
                var loaded = Loaded()
                let seeds = Mutex<[UInt64]>([])
                do {
                    let peers = LoadingPeers(BatchShare(rank: rank, of: ranks), sum: meeting.sum)
                    let preparation = preparation(world, picky: picky, failing: rank == failing) { seed in
                        seeds.withLock { $0.append(seed) }
                    }
                    let loader = try world.loader(
                        batchSize: batchSize, preparation: preparation, from: state, among: ranks > 1 ? peers : nil)
                    do { for _ in 0..<batches { loaded.batches.append(try loader.next()) } } catch {
                        loaded.error = error
                        #expect(throws: (any Error).self) { try loader.next() }
                    }
                    (loaded.drops, loaded.data) = (loader.drops, loader.loaded)
                    loaded.colourProfiles = loader.colourProfiles
                    loader.stop()
                } catch {
                    loaded.error = error
                }
                if loaded.error != nil { meeting.end() }
                loaded.decoded = seeds.withLock(\.self)
                let end = loaded
                results.withLock { $0[rank] = end }
            }
        }
        for thread in threads { thread.join() }
        return results.withLock(\.self)
    }

    private func expectSame(_ ours: [Loaded], _ one: Loaded) {
        for (rank, loaded) in ours.enumerated() {
            #expect(loaded.error == nil && loaded.batches.count == one.batches.count)
            #expect(loaded.captions == one.captions && loaded.turns == one.turns && loaded.states == one.states)
            #expect(loaded.drops == one.drops && loaded.colourProfiles == one.colourProfiles)
            #expect(loaded.data.samples == one.data.samples && loaded.data.buckets == one.data.buckets)
            #expect(loaded.data.longCaptions == one.data.longCaptions && loaded.data.epoch == one.data.epoch)
            for (batch, whole) in zip(loaded.batches, one.batches) {
                let count = batch.samples.count
                #expect(batch.own.count == BatchShare(rank: rank, of: ours.count).range(of: count, rank: rank).count)
                #expect(batch.part(batch.own).images == whole.part(batch.own).images)
                #expect(batch.part(batch.own).samples.map(\.condition) == batch.own.map { whole.samples[$0].condition })
                // Of the others it has nothing.
                #expect(batch.images.count == batch.own.count)
            }
        }
        for (number, batch) in one.batches.enumerated() where ours.allSatisfy({ $0.batches.count > number }) {
            #expect(ours.flatMap { $0.batches[number].own }.sorted() == Array(batch.samples.indices))
        }
    }

    @Test func `two and four processes make the batches of one, of data with much that is broken`() throws {
        let world = try LoadingWorld.mixed()
        let one = try load(world, 1)[0]
        #expect(one.drops.samples.keys.count == 3 && one.batches.count == 40)
        // Batches that no longer begin where samples were assigned together.
        #expect(one.states.contains { $0.decoded.count > 2 })
        for ranks in [2, 4] {
            let ours = try load(world, ranks)
            expectSame(ours, one)
            // What is broken is found out by one process. It leaves a place empty, for which at most one sample is decoded
            // by two.
            let all = ours.flatMap(\.decoded)
            let broken = one.drops.samples.values.reduce(0, +)
            #expect(all.count - Set(all).count <= broken)
            #expect(Set(ours.flatMap { $0.batches.flatMap(\.own) }).count == 6)
        }
    }

    @Test func `a process decodes its own samples alone`() throws {
        let world = try LoadingWorld([try (0..<24).map { try .init($0) }, try (24..<48).map { try .init($0) }])
        for ranks in [2, 3] {
            let ours = try load(world, ranks, batchSize: 6 * ranks, picky: false)
            let all = ours.flatMap(\.decoded)
            #expect(Set(all).count == all.count)
            for loaded in ours {
                // 40 batches, and its share of those that are on their way.
                #expect(loaded.decoded.count <= 6 * 40 + 6 * 3 + 2)
                #expect(loaded.decoded.count > 200)
            }
        }
    }

    @Test(arguments: [(1, 4), (2, 1), (2, 3), (4, 2)])
    func `a loader goes on among another number of processes`(before: Int, after: Int) throws {
        let world = try LoadingWorld.mixed()
        let whole = try load(world, 1)[0]
        let begun = try load(world, before, batches: 12)
        for place in [0, 5, 11] {
            let state = try LoaderStates.read(begun[0].states[place])
            let rest = try load(world, after, batches: 20, from: state)
            for loaded in rest {
                #expect(loaded.error == nil)
                #expect(loaded.turns == Array(whole.turns[(place + 1)...].prefix(20)))
                #expect(loaded.states == Array(whole.states[(place + 1)...].prefix(20)))
            }
        }
        // The same number goes on with the same shares, so that sums are rounded as they would have been.
        let all = try load(world, before)
        let rest = try load(world, before, batches: 20, from: begun[0].states[5])
        for (loaded, whole) in zip(rest, all) {
            #expect(loaded.batches.map(\.own) == whole.batches[6...].prefix(20).map(\.own))
        }
    }

    @Test func `smaller batches of several processes take up what waited for larger ones`() throws {
        let world = try LoadingWorld.mixed()
        let state = try #require(load(world, 2, batches: 9, batchSize: 8)[0].states.first { $0.decoded.count > 3 })
        let one = try load(world, 1, batchSize: 2, from: state)[0]
        expectSame(try load(world, 2, batchSize: 2, from: state), one)
    }

    @Test func `all processes end where one can't load`() throws {
        let world = try LoadingWorld([try (0..<24).map { try .init($0) }])
        let ours = try load(world, 3, failing: 1)
        #expect((ours[1].error as? Failure)?.what == "the network is broken")
        for rank in [0, 2] {
            let failure = ours[rank].error as? Failure
            #expect(failure?.what == "process 1 can't load its samples" && failure?.blame == .run, "\(ours[rank])")
        }
        // Of data without anything of use all say so.
        var broken = try LoadingWorld.Entry(0)
        broken.image?.removeLast(40)
        let useless = try load(LoadingWorld([[broken, broken, broken, broken]]), 2, batchSize: 2)
        for loaded in useless {
            let failure = loaded.error as? Failure
            #expect(failure?.what == "no sample of a whole epoch can be used", "\(loaded)")
            #expect(failure?.got == "4 image can't be decoded")
        }
    }

    @Test func `who takes a sample is who decoded it, as far as all have as many`() {
        let two = BatchShare(rank: 0, of: 2)
        #expect(two.takers(of: [0, 1, 2, 3]) == [0, 0, 1, 1])
        // The place before is broken, here and for good.
        #expect(two.takers(of: [3, 0, 1, 2]) == [1, 0, 0, 1])
        // The third of four is broken: the first process has decoded three, and the second takes the last of them.
        #expect(two.takers(of: [0, 1, 3, 0]) == [0, 0, 1, 1])
        for ranks in 1...7 {
            for count in ranks...(3 * ranks) {
                let share = BatchShare(rank: 0, of: ranks)
                for rank in 0..<ranks {
                    for place in share.range(of: count, rank: rank) {
                        #expect(share.owner(of: place, of: count) == rank)
                    }
                }
            }
        }
    }
}
