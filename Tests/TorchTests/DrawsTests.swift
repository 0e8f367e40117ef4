import Foundation
import TestSupport
import Testing
import Torch

@Suite struct DrawsTests {
    private static let words = Operator("cascade::philox_words")
    private static let composed = Operator("cascade::philox_composed")
    private static let uniform = Operator("cascade::philox_uniform")
    private static let normal = Operator("cascade::philox_normal")
    private static let dropout = Operator("cascade::philox_dropout")

    /// What the golden's numbers were drawn for.
    private struct Source {
        let golden: Golden
        let seeds: [Int]
        let places: [Int]
        let stream: Int
        let update: Int

        init() throws {
            let golden = try Golden("philox")
            func list(_ name: String) -> [UInt64] {
                (golden.metadata[name] ?? "").split { !$0.isNumber }.compactMap { UInt64($0) }
            }
            self.golden = golden
            seeds = list("seeds").map { Int(truncatingIfNeeded: $0) }
            places = list("places").map { Int($0) }
            stream = Int(try #require(list("stream").first))
            update = Int(try #require(list("update").first))
        }

        func expected(_ name: String) throws -> Tensor { try #require(golden.tensors[name], "\(name)").made() }

        func drawn(_ op: Operator, _ count: Int = 300) throws -> Tensor {
            try op(.ints(seeds), .int(stream), .int(update), .ints(places), .int(count))
        }
    }

    @Test func `words and uniform numbers are the peer's, bit by bit, and normal ones within rounding`() throws {
        let source = try Source()
        let expected = try source.expected("words").values(as: Int.self)
        let words = try source.drawn(Self.words).values(as: Int32.self)
        #expect(words.map { Int(UInt32(bitPattern: $0)) } == expected)
        #expect(try largestDifference(source.drawn(Self.uniform), source.expected("uniform")) == 0)
        #expect(try largestDifference(source.drawn(Self.normal), source.expected("normal")) < 2e-6)
        // Fewer numbers are the first of more.
        #expect(
            try source.drawn(Self.words, 7).values(as: Int32.self) == (0..<3).flatMap { words[300 * $0..<300 * $0 + 7] }
        )
        #expect(try source.drawn(Self.words, 0).shape == [3, 0])
    }

    @Test func `operators of libtorch make the same words`() throws {
        let source = try Source()
        let device = try testDevice()
        let made = try Self.composed(
            .ints(source.seeds), .int(source.stream), .int(source.update), .ints(source.places), .int(300),
            .device(device))
        #expect(try made.values(as: Int.self) == source.expected("words").values(as: Int.self))
    }

    @Test(arguments: [DType.float32, .bfloat16, .float64]) func `dropout keeps what the peer keeps`(dtype: DType) throws
    {
        let source = try Source()
        let device = try testDevice()
        let kept = try source.expected("kept")
        let x = try Generator(seed: 4).normal([3, 5, 60]).to(dtype: dtype).to(device: device)
        try x.setRequiresGrad(true)
        func dropped(_ x: Tensor) throws -> Tensor {
            try Self.dropout(
                .tensor(x), .double(0.3), .ints(source.seeds), .int(source.stream), .int(source.update),
                .ints(source.places))
        }
        let out = try dropped(x)
        #expect(out.dtype == dtype && out.shape == [3, 5, 60])
        // bfloat16 keeps eight bits.
        let tolerance = dtype == .bfloat16 ? 0x1p-8 * 5 : 1e-6
        let expected = try x.detached().to(dtype: .float32).to(device: .cpu) * kept.reshaped([3, 5, 60]) / 0.7
        #expect(try largestDifference(out.detached().to(dtype: .float32), expected) < tolerance)
        // The gradient passes where the number did, and memory's order changes nothing.
        let gradient = try Generator(seed: 5).normal([3, 5, 60]).to(dtype: dtype).to(device: device)
        try (out * gradient).sum().backward()
        let passed = try gradient.to(dtype: .float32).to(device: .cpu) * kept.reshaped([3, 5, 60]) / 0.7
        #expect(try largestDifference(#require(try x.gradient()).to(dtype: .float32), passed) < tolerance)
        let turned = try x.detached().transposed(1, 2).contiguous().transposed(1, 2)
        #expect(try largestDifference(dropped(turned), out.detached()) == 0)
    }

    @Test func `a sample's numbers do not depend on the others`() throws {
        let all = Draws(seed: 3, stream: 2, update: 7, places: 0..<5)
        let part = all[2..<4]
        #expect(part.count == 2)
        for device in try [Device.cpu, testDevice()] {
            let whole = try all.normal(.noise, [4, 9], device: device).sliced(0, 2..<4)
            #expect(try largestDifference(part.normal(.noise, [4, 9], device: device), whole) == 0)
        }
        #expect(try part.uniform(.caption).values(as: Float.self) == Array(all.uniform(.caption).values()[2..<4]))
        let x = try Generator(seed: 1).normal([5, 70])
        let dropped = try all.dropping(0.5, of: x, .network, position: 3).sliced(0, 2..<4)
        #expect(try largestDifference(part.dropping(0.5, of: x.sliced(0, 2..<4), .network, position: 3), dropped) == 0)
        let shared = try [all, part].map { try $0.shared.uniform(.effnetScale).values(as: Float.self) }
        #expect(shared[0] == shared[1] && shared[0].count == 1)
        let joined = try #require(Draws(joining: [part, Draws(seed: 9, update: 7, places: 1..<2)]))
        #expect(try largestDifference(joined.normal(.noise, [6]).sliced(0, 0..<2), part.normal(.noise, [6])) == 0)
        #expect(Draws(joining: [part, Draws(seed: 3, update: 8, places: 0..<1)]) == nil && Draws(joining: []) == nil)
    }

    @Test func `seeds, streams, updates, places, purposes, positions and branches have numbers of their own`() throws {
        var seen: Set<[Double]> = []
        func expectNew(_ draws: Draws, _ purpose: Draws.Purpose = .noise, position: Int = 0) throws {
            #expect(seen.insert(try draws.normal(purpose, [8], position: position).values()).inserted)
        }
        for (seed, stream, update, place) in [
            (1, 0, 0, 0), (2, 0, 0, 0), (1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1), (0, 1, 1, 1),
        ] {
            try expectNew(Draws(seed: UInt64(seed), stream: UInt64(stream), update: update, places: place..<place + 1))
        }
        let draws = Draws(seed: 1, places: 0..<1)
        try expectNew(draws, .sampling)
        try expectNew(draws, position: 1)
        for branch in 0..<3 { try expectNew(draws.branch(branch)) }
    }

    @Test func `normal numbers are normal`() throws {
        let drawn = try Draws(seed: 5, places: 0..<4).normal(.noise, [250_000])
        let values: [Double] = try drawn.values()
        let count = Double(values.count)
        func moment(_ power: Int) -> Double {
            values.reduce(0) { sum, value in sum + (0..<power).reduce(1) { product, _ in product * value } } / count
        }
        // Within five standard deviations of a million numbers.
        for (power, expected, deviation) in [(1, 0.0, 1.0), (2, 1, 2), (3, 0, 15), (4, 3, 96)]
            as [(Int, Double, Double)]
        {
            #expect(abs(moment(power) - expected) < 5 * (deviation / count).squareRoot(), "\(power)")
        }
        // Beyond four lie 63 of a million.
        #expect((25...110).contains(values.count { abs($0) > 4 }))
    }
}
