import Failures
import Images
import Synchronization
import Testing

@testable import Loading
@testable import Shards

@Suite struct BatchLoaders {
    @Test func `batches are the same whatever the number of workers`() throws {
        let world = try LoadingWorld.mixed()
        let runs = try [1, 2, 5].map { workers in
            let loader = try world.loader(workers: workers)
            let batches = try (0..<40).map { _ in try BatchContent(loader.next()) }
            return (batches, loader.drops)
        }
        #expect(runs[0] == runs[1] && runs[0] == runs[2])
    }

    @Test func `a batch is of one bucket, and every good sample comes in its epoch`() throws {
        let world = try LoadingWorld.mixed()
        let loader = try world.loader(batchSize: 1)
        var epochs: [Int: [SamplePlace]] = [:]
        var (buckets, characters) = ([AspectBuckets.Bucket: Int](), 0)
        for _ in 0..<60 {
            let batch = try loader.next()
            let sample = try #require(batch.samples.first)
            let image = try #require(batch.images.first)
            #expect(image.width == sample.fit.bucket.width && image.height == sample.fit.bucket.height)
            #expect(batch.secondsWaited >= 0 && batch.keys == nil)
            epochs[sample.turn.epoch, default: []].append(sample.turn.place)
            buckets[sample.fit.bucket, default: 0] += 1
            characters += sample.caption.count
        }
        #expect(loader.loaded.samples == 60 && loader.loaded.epoch == 2 && loader.loaded.emptyCaptions == 0)
        #expect(loader.loaded.buckets == buckets && loader.loaded.characters == characters)
        // 32 samples, of which 5 have a broken image and 3 no caption.
        #expect(epochs[0]?.count == 24 && Set(epochs[0] ?? []).count == 24)
        #expect(Set(epochs[1] ?? []) == Set(epochs[0] ?? []))
        #expect(loader.drops.samples["no caption"] ?? 0 >= 6)
        #expect(loader.drops.samples["image can't be decoded"] ?? 0 >= 10)
    }

    @Test func `captions that are handed out are searched, and long ones counted`() throws {
        let world = try LoadingWorld([try (0..<4).map { try .init($0) }])
        var options = BatchLoader.Options(stream: .init(seed: 3), batchSize: 4)
        options.captions.texts = ["caption 3", "[ohwx]"]
        options.captions.isLong = { $0 != "caption 0" }
        let loader = try BatchLoader(
            shards: world.shards, preparation: SamplePreparation(buckets: world.buckets), options: options)
        for _ in 0..<2 { _ = try loader.next() }
        #expect(loader.loaded.found == ["caption 3": 2] && loader.loaded.longCaptions == 6)
    }

    @Test func `once nobody waits for it, a batch is given up unless it comes at once`() throws {
        let world = try LoadingWorld.mixed()
        let (patient, impatient) = (try world.loader(patience: .seconds(600)), try world.loader(patience: .zero))
        #expect(try patient.next().samples.count == 3)
        #expect(throws: CancellationError.self) { try impatient.next() }
        // It has lost what it had gathered.
        #expect(throws: Failure.self) { try impatient.next() }
    }

    /// A buffer's samples and bytes, whether images are decoded, and how many places are tried.
    @Test(arguments: [(5, 1 << 20, false, 50), (1000, 900, false, 15), (8, 1 << 20, true, 5)])
    func `wherever it is restored, a loader has the same next 100 samples`(
        buffer: Int, bufferBytes: Int, decodes: Bool, places: Int
    ) throws {
        let world = try LoadingWorld.mixed()
        var preparation = SamplePreparation(buckets: world.buckets)
        if !decodes { preparation.store = PreparedStore(salt: "") { _ in [1] } }
        func loader(_ state: LoaderState) throws -> BatchLoader {
            try world.loader(
                buffer: buffer, bufferBytes: bufferBytes, cacheBytes: decodes ? 1 << 20 : 0, preparation: preparation,
                from: state)
        }
        let whole = try loader(LoaderState())
        let batches = try (0..<75).map { _ in try BatchContent(whole.next()) }
        var generator = SeededGenerator(seed: 6)
        for _ in 0..<places {
            let place = generator.next(below: 40)
            let restored = try loader(LoaderStates.read(batches[place].state))
            // 34 batches of 3: the next 100 samples and two more.
            for batch in batches[(place + 1)..<(place + 35)] {
                #expect(try BatchContent(restored.next()) == batch)
            }
        }
    }

    @Test func `smaller batches take up what waited for larger ones`() throws {
        let world = try LoadingWorld.mixed()
        let large = try world.loader(batchSize: 8)
        let state = try large.next().stateAfter
        // A broken image left a place empty that the next of its bucket took.
        try #require(state.waiting.count > 2 && state.decoded.count > 2)
        let there = state.decoded + state.waiting
        let small = try world.loader(batchSize: 1, from: state)
        let batches = try there.map { _ in try small.next() }
        let turns = batches.flatMap { $0.samples.map(\.turn) }.filter(there.contains)
        #expect(turns == there.filter(turns.contains) && turns.count >= there.count - 5)
        #expect(batches[0].stateAfter.waiting == state.waiting)
        #expect(batches[0].stateAfter.decoded == Array(state.decoded.dropFirst()))
    }

    @Test func `images under the smallest size are left out and counted`() throws {
        let world = try LoadingWorld([
            [try .init(0, width: 40, height: 31), try .init(1, width: 32, height: 90), try .init(2)]
        ])
        let loader = try world.loader(
            batchSize: 2, preparation: SamplePreparation(buckets: world.buckets, minImageSize: 33))
        for _ in 0..<3 { #expect(try loader.next().captions == ["caption 2", "caption 2"]) }
        #expect(loader.drops.samples["image is too small"] ?? 0 >= 8)
    }

    @Test func `an epoch of which nothing is of use ends with the counts, again and again`() throws {
        var broken = try LoadingWorld.Entry(0)
        broken.image?.removeLast(40)
        var silent = broken
        silent.caption = nil
        let world = try LoadingWorld([[broken, silent], [broken, silent, broken]])
        let loader = try world.loader(batchSize: 1)
        for _ in 0..<2 {
            let failure = #expect(throws: Failure.self) { try loader.next() }
            #expect(failure?.blame == .input && failure?.place?.file == world.shards[0].name)
            #expect(failure?.got == "3 image can't be decoded, 2 no caption")
        }
        let empty = try LoadingWorld([[]]).loader()
        #expect(throws: Failure.self) { try empty.next() }
    }

    @Test func `an epoch of one good sample is enough, the next without any is not`() throws {
        var broken = try LoadingWorld.Entry(0)
        broken.image?.removeLast(40)
        let world = try LoadingWorld([[broken, try .init(1), broken]])
        let loader = try world.loader(batchSize: 2)
        let state = try loader.next().stateAfter
        try LoadingWorld([[broken, broken, broken]]).copyShards(to: world)
        let failure = #expect(throws: Failure.self) { try world.loader(batchSize: 2, from: state).next() }
        #expect(failure?.got?.wholeMatch(of: /[0-9]+ image can't be decoded/) != nil)
    }

    @Test func `data that is not what it was is a failure of the first batch, and stays one`() throws {
        let world = try LoadingWorld([try (0..<20).map { try .init($0) }])
        let state = try world.loader(batchSize: 2).next().stateAfter
        try LoadingWorld([[try .init(1)]]).copyShards(to: world)
        let loader = try world.loader(batchSize: 2, from: state)
        for _ in 0..<2 {
            let failure = #expect(throws: Failure.self) { try loader.next() }
            #expect(failure?.what.hasPrefix("the data is not what it was") == true)
        }
        let other = try LoadingWorld([[try .init(1)]])
        #expect(throws: Failure.self) { try other.loader(from: state) }
    }

    @Test func `stopping in the middle ends every thread`() throws {
        final class Token: Sendable {}
        let world = try LoadingWorld.mixed()
        for batches in [0, 1, 7] {
            weak var seen: Token?
            try {
                let token = Token()
                seen = token
                let preparation = SamplePreparation(
                    buckets: world.buckets,
                    store: PreparedStore(salt: "") { _ in
                        _ = token
                        return nil
                    })
                let loader = try world.loader(workers: 3, preparation: preparation)
                for _ in 0..<batches { _ = try loader.next() }
                loader.stop()
                #expect(throws: Failure.self) { try loader.next() }
            }()
            // The threads' closures held it.
            #expect(seen == nil)
        }
    }

    @Test func `no more samples are on their way than is said`() throws {
        let world = try LoadingWorld([try (0..<100).map { try .init($0) }])
        let prepared = Mutex(0)
        let preparation = SamplePreparation(
            buckets: world.buckets,
            store: PreparedStore(salt: "") { _ in
                prepared.withLock { $0 += 1 }
                return nil
            })
        let loader = try world.loader(batchSize: 4, workers: 3, preparation: preparation)
        for batch in 1...20 {
            _ = try loader.next()
            // Two batches and three samples beyond those handed out.
            #expect(prepared.withLock(\.self) <= 4 * batch + 11)
        }
    }
}

extension LoadingWorld {
    /// Puts the shards in the place of another's.
    func copyShards(to other: LoadingWorld) throws {
        for shard in shards.indices { try other.folder.write("\(shard).tar", folder.read("\(shard).tar")) }
    }
}
