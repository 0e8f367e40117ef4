import Failures
import Images
import Synchronization
import Testing

@testable import Loading
@testable import Shards

@Suite struct ImageConditionsOfSamples {
    /// Conditions of the seed and the image's first colour.
    private static let drawn = ImageConditions { image, seed in
        ImageCondition(bytes: Array("\(seed)".utf8) + image.image.pixels.prefix(3), isDrawn: true)
    }

    private func preparation(_ world: LoadingWorld, _ conditions: ImageConditions) -> SamplePreparation {
        var preparation = SamplePreparation(buckets: world.buckets)
        preparation.conditions = conditions
        return preparation
    }

    private func conditions(_ batch: ImageBatch) -> [[UInt8]?] { batch.samples.map(\.condition) }

    @Test func `conditions are the same whatever the number of workers, and wherever a loader is restored`() throws {
        let world = try LoadingWorld.mixed()
        func loader(_ workers: Int, _ state: LoaderState = LoaderState()) throws -> BatchLoader {
            try world.loader(workers: workers, preparation: preparation(world, Self.drawn), from: state)
        }
        let whole = try loader(1)
        let batches = try (0..<30).map { _ in try whole.next() }
        let expected = batches.map(conditions)
        #expect(expected.joined().allSatisfy { $0 != nil })
        // Every appearance of a sample has a draw of its own.
        #expect(Set(expected.joined().map { $0?.dropLast(3) }).count == 90)
        for workers in [2, 5] {
            let loader = try loader(workers)
            #expect(try (0..<30).map { _ in try conditions(loader.next()) } == expected)
        }
        for place in [0, 7, 19] {
            let restored = try loader(3, LoaderStates.read(BatchContent(batches[place]).state))
            for later in expected[(place + 1)...] { #expect(try conditions(restored.next()) == later) }
        }
    }

    @Test func `what is kept in memory is made once, but for what is drawn`() throws {
        let world = try LoadingWorld([try (0..<6).map { try .init($0) }])
        for isDrawn in [false, true] {
            let made = Mutex(0)
            let conditions = ImageConditions { image, _ in
                made.withLock { $0 += 1 }
                return ImageCondition(bytes: [image.image.pixels[1]], isDrawn: isDrawn)
            }
            let loader = try world.loader(cacheBytes: 1 << 20, preparation: preparation(world, conditions))
            for _ in 0..<8 {
                let batch = try loader.next()
                #expect(self.conditions(batch) == batch.images.map { [$0.pixels[1]] })
            }
            #expect(made.withLock(\.self) >= (isDrawn ? 24 : 6))
            #expect(isDrawn || made.withLock(\.self) == 6)
        }
    }

    @Test func `two samples of one key in one shard keep an image and a condition each`() throws {
        let entries = try (0..<6).map { number in
            var entry = try LoadingWorld.Entry(number)
            entry.key = "k\(number % 2)"
            return entry
        }
        let world = try LoadingWorld([entries])
        let conditions = ImageConditions { image, _ in
            ImageCondition(bytes: [image.image.pixels[1]], isDrawn: false)
        }
        let loader = try world.loader(cacheBytes: 1 << 20, preparation: preparation(world, conditions))
        for _ in 0..<6 {
            let batch = try loader.next()
            // The image's second colour is the number in its caption.
            let numbers = batch.captions.map { $0.split(separator: " ").last.flatMap { UInt8($0) } }
            #expect(batch.images.map { $0.pixels[1] } == numbers)
            #expect(self.conditions(batch) == numbers.map { number in number.map { [$0] } })
        }
    }

    @Test func `what a store has is not made, and with all of a sample there its image is not decoded`() throws {
        let whole = try LoadingWorld.Entry(1)
        // The header is whole, the rest is not.
        var broken = try LoadingWorld.Entry(2)
        broken.image?.removeLast(30)
        let world = try LoadingWorld([[whole, broken]])
        let entries = Mutex<[String: [UInt8]]>([:])
        let store = PreparedStore(
            salt: "conditions", lookup: { key in entries.withLock { $0[key] } },
            keep: { key, bytes in entries.withLock { $0[key] = bytes } })
        let conditions = ImageConditions(store: store) { image, _ in
            ImageCondition(bytes: [image.image.pixels[1]], isDrawn: false)
        }
        var preparation = preparation(world, conditions)
        preparation.store = PreparedStore(salt: "latents", lookup: { _ in [1, 2, 3] })
        // Without a condition of its own, the broken image would have to be decoded.
        let first = try world.loader(batchSize: 2, preparation: preparation)
        #expect(try first.next().captions == ["caption 1", "caption 1"])
        #expect(first.drops.samples["image can't be decoded"] ?? 0 >= 1)
        let kept = entries.withLock { $0 }
        #expect(Array(kept.values) == [[1]])

        // The other key is the one that is asked for and was not put there.
        let asked = Mutex<Set<String>>([])
        preparation.conditions = ImageConditions(
            store: PreparedStore(
                salt: "conditions",
                lookup: { key in
                    asked.withLock { _ = $0.insert(key) }
                    return kept[key] ?? [9]
                })
        ) { _, _ in throw Failure.run("nothing is left to make") }
        let second = try world.loader(batchSize: 2, preparation: preparation)
        let batch = try second.next()
        #expect(batch.images.isEmpty && second.drops.isEmpty)
        let found = Dictionary(uniqueKeysWithValues: zip(batch.captions, self.conditions(batch)))
        #expect(found == ["caption 1": [1], "caption 2": [9]])
        #expect(asked.withLock { $0.isSuperset(of: kept.keys) && $0.count == 2 })
        #expect(batch.keys?.contains { kept[$0] != nil } == false)
        #expect(batch.samples.map(\.size) == [4, 4])
    }

    @Test func `an image that is refused is left out and counted, any other failure ends the loading`() throws {
        let world = try LoadingWorld([try (0..<9).map { try .init($0) }])
        let picky = ImageConditions { image, _ in
            guard image.image.pixels[1] % 3 > 0 else { throw Failure.input("the image does not suit") }
            return ImageCondition(bytes: [image.image.pixels[1]], isDrawn: false)
        }
        let loader = try world.loader(batchSize: 2, preparation: preparation(world, picky))
        let captions = try (0..<6).flatMap { _ in try loader.next().captions }
        #expect(Set(captions) == Set([1, 2, 4, 5, 7, 8].map { "caption \($0)" }))
        #expect(loader.drops.samples.keys.elementsEqual(["filter refused the image"]))
        #expect(loader.drops.samples.values.allSatisfy { $0 >= 3 })

        let failing = ImageConditions { _, _ in throw Failure.run("the network is broken") }
        let other = try world.loader(batchSize: 2, preparation: preparation(world, failing))
        for _ in 0..<2 {
            let failure = #expect(throws: Failure.self) { try other.next() }
            #expect(failure?.blame == .run && failure?.what == "the network is broken")
            #expect(
                failure?.place?.file.hasPrefix("\(world.shards[0].name)/") == true, "\(String(describing: failure))")
        }
    }
}
