import Failures
import Images
import Synchronization
import Testing

@testable import Loading
@testable import Shards

@Suite struct MaskedLoading {
    /// A sample with an image of 64 x 32 whose left half is white, and with that as its mask.
    private func sample(_ mask: [UInt8]?) throws -> Sample {
        let values = (0..<64 * 32).map { $0 % 64 < 32 ? 255 : 0 as UInt8 }
        let image = try Image(width: 64, height: 32, pixels: values.flatMap { [$0, $0, $0] }).png()
        var members: [String: [UInt8]] = ["png": image, "txt": [65]]
        members["mask.png"] = mask
        return Sample(key: "a", shard: "x.tar", members: members)
    }

    private func preparation(_ noted: @escaping @Sendable (String) -> Void = { _ in }) throws -> SamplePreparation {
        var preparation = SamplePreparation(buckets: try AspectBuckets(size: 32, ratios: [1], step: 32))
        preparation.reading.masks = try SampleMasks("mask.png")
        preparation.choice = .init(crop: .random)
        preparation.masks = MaskReading(note: noted)
        preparation.conditions = ImageConditions { image, _ in
            ImageCondition(bytes: image.mask?.values ?? [], isDrawn: false)
        }
        return preparation
    }

    private func outcome(
        _ sample: Sample, _ preparation: SamplePreparation, number: Int = 0
    ) throws -> SamplePreparation.Outcome<LoadedSample> {
        let turn = SampleTurn(epoch: 0, place: SamplePlace(shard: 0, sample: number))
        return switch preparation.fitted(sample, turn, seed: 1) {
        case .of(let fitted): try preparation(fitted)
        case .dropped(let reason): .dropped(reason)
        }
    }

    @Test func `a condition is made of the image and of its mask, cut alike`() throws {
        let sample = try sample(#require(try sample(nil).image))
        var seen: Set<[UInt8]> = []
        for number in 0..<12 {
            guard case .of(let loaded) = try outcome(sample, preparation(), number: number),
                case .image(let image) = loaded.content
            else {
                Issue.record("the sample is dropped")
                continue
            }
            let mask = try #require(loaded.condition)
            #expect(mask == stride(from: 0, to: image.pixels.count, by: 3).map { image.pixels[$0] })
            seen.insert(mask)
        }
        #expect(seen.count > 2)
        let held = try #require(try preparation().withoutChance(sample))
        #expect(held.image.mask?.values.count == 32 * 32 && held.image.mask?.share == 0.5)
    }

    @Test func `a mask that can't be read costs its sample, and one that covers all is told once`() throws {
        guard case .dropped(let reason) = try outcome(sample([1, 2, 3]), preparation()) else {
            Issue.record("the sample is not dropped")
            return
        }
        #expect(reason == "mask can't be decoded")
        let notes = Mutex([String]())
        let preparation = try preparation { note in notes.withLock { $0.append(note) } }
        let white = try Image(width: 8, height: 4, colour: (255, 255, 255)).png()
        for number in 0..<3 { _ = try outcome(sample(white), preparation, number: number) }
        #expect(notes.withLock(\.self) == ["x.tar/a: the mask covers all of the image"])
    }

    @Test func `another mask makes another condition, also where conditions are kept`() throws {
        let kept = Mutex([String: [UInt8]]())
        var preparation = try preparation()
        preparation.choice = .init()
        preparation.conditions = ImageConditions(
            store: PreparedStore(
                salt: "s", lookup: { key in kept.withLock { $0[key] } },
                keep: { key, bytes in kept.withLock { $0[key] = bytes } })
        ) { image, _ in ImageCondition(bytes: [UInt8(image.mask?.share == 1 ? 1 : 0)], isDrawn: false) }
        for (grey, expected) in [(0, [0]), (255, [1]), (0, [0])] as [(UInt8, [UInt8])] {
            let mask = try Image(width: 8, height: 4, colour: (grey, grey, grey)).png()
            guard case .of(let loaded) = try outcome(sample(mask), preparation) else {
                Issue.record("the sample is dropped")
                continue
            }
            #expect(loaded.condition == expected)
        }
        #expect(kept.withLock(\.count) == 2)
    }
}
