import Failures
import Optimization
import TestSupport
import Testing
import Torch

/// Weights of bfloat16, whose steps are computed in float32 and rounded stochastically.
@Suite struct RoundedWeightsTests {
    private static let names = ["matrix", "vector"]

    /// The golden's two tensors, as write_rounding.py describes them.
    private struct Rounded {
        let golden: Golden
        let device: Device
        let parameters: [Tensor]

        init() throws {
            let (golden, device) = (try Golden("rounding"), try testDevice())
            (self.golden, self.device) = (golden, device)
            parameters = try RoundedWeightsTests.names.map { name in
                let start = try #require(golden.tensors["start.\(name)"]).made()
                let weights = try start.to(device: device).to(dtype: .bfloat16)
                try weights.setRequiresGrad(true)
                return weights
            }
        }

        var groups: [ParameterGroup] {
            [
                ParameterGroup([("matrix", parameters[0])], weightDecay: 0.1),
                ParameterGroup([("vector", parameters[1])]),
            ]
        }

        func gradient(_ index: Int, _ update: Int) throws -> Tensor {
            let noise = try #require(golden.tensors["noise.\(RoundedWeightsTests.names[index])"]).made()
            return try noise.selected(0, update % 3).to(device: device).to(dtype: .bfloat16)
        }

        func train(_ optimizer: any Optimizer, updates: ClosedRange<Int>) throws {
            for update in updates {
                try optimizer.stepEach(RoundedWeightsTests.step(update)) { try gradient($0, update) }
            }
        }

        func values() throws -> [[Float]] { try parameters.map { try $0.values() } }
    }

    private static func step(_ update: Int, scale: Double = 1) -> TensorStep {
        TensorStep(
            learningRate: 0.01, gradientScale: scale,
            rounding: Draws(seed: 77, stream: 6, update: update, places: 0..<2))
    }

    private static let optimizers: [(String, @Sendable ([ParameterGroup]) throws -> any Optimizer)] = [
        ("adamw", { try AdamW($0) }), ("adafactor", { try Adafactor($0) }), ("adamw_8bit", { try AdamW8bit($0) }),
    ]

    /// Both compute in float32, whose last bits differ; where a draw lies between the two, a number goes the other way.
    @Test(arguments: ["adamw", "adafactor"])
    func `steps are the peers', rounded by the same draws`(name: String) throws {
        let rounded = try Rounded()
        let make = try #require(Self.optimizers.first { $0.0 == name }).1
        try rounded.train(make(rounded.groups), updates: 1...12)
        let values = try rounded.values()
        for (index, tensor) in Self.names.enumerated() {
            let theirs = try #require(rounded.golden.tensors["\(name).\(tensor)"]).floats
            let start = try #require(rounded.golden.tensors["start.\(tensor)"]).floats
            #expect(values[index].count == theirs.count && values[index] != start)
            let other = zip(values[index], theirs).filter { $0 != $1 }
            #expect(other.count <= theirs.count / 200, "\(other.count) of \(theirs.count)")
        }
    }

    @Test(arguments: ["adamw", "adafactor", "adamw_8bit"])
    func `stopped and resumed is uninterrupted, bit for bit`(name: String) throws {
        let make = try #require(Self.optimizers.first { $0.0 == name }).1
        let (whole, parts) = (try Rounded(), try Rounded())
        try whole.train(make(whole.groups), updates: 1...8)
        let first = try make(parts.groups)
        try parts.train(first, updates: 1...3)
        let second = try make(parts.groups)
        try second.restore(updates: 3) { name in first.state.first { $0.name == name }?.tensor }
        try parts.train(second, updates: 4...8)
        #expect(try parts.values() == whole.values())
    }

    @Test func `the mean of many draws is the number, whichever way one goes`() throws {
        // A neighbour, a quarter and 0.9 of the way to the next, of both signs, and the smallest normal number.
        let step: Float = 0x1p-7
        let numbers: [Float] = [1, 1 + step / 4, 1 + 0.9 * step, -(1 + step / 4), 0x1p-126, 0]
        let values = try Tensor(numbers.flatMap { Array(repeating: $0, count: 20000) }, shape: [6, 20000])
        let rounded = try Tensor.zeros([6, 20000], dtype: .bfloat16)
        try Draws(seed: 1, update: 3, places: 0..<1).round(values, into: rounded)
        let means = try rounded.to(dtype: .float64).mean([1]).values(as: Double.self)
        for (mean, number) in zip(means, numbers) {
            // Of a step of 2^-7 the mean of 20000 draws is off by 2^-7 / 2 / root(20000) in one of three cases.
            #expect(abs(mean - Double(number)) < 5 * Double(step) / 2 / 141, "\(number): \(mean)")
        }
        #expect(means[0] == 1 && means[4] == 0x1p-126 && means[5] == 0)
        let ways = Set(try rounded.selected(0, 1).values(as: Float.self))
        #expect(ways == [1, 1 + step])
    }

    @Test func `what is not finite stays so, and every device rounds alike`() throws {
        let values = try Tensor([Float.infinity, -.infinity, .nan, .greatestFiniteMagnitude / 3, -0.0])
        let rounded = try Tensor.zeros([5], dtype: .bfloat16)
        try Draws(seed: 2, places: 0..<1).round(values, into: rounded)
        let found = try rounded.values(as: Float.self)
        #expect(found[0] == .infinity && found[1] == -.infinity && found[2].isNaN)
        #expect(found[3].isFinite && found[4].sign == .minus && found[4] == 0)

        let round = Operator("cascade::round_by_chance_")
        let many = try Generator(seed: 4).normal([3, 1001])
        let made = try [true, false].map { isFused in
            let to = try Tensor.zeros([3, 1001], dtype: .bfloat16)
            _ = try round.call([
                .tensor(to), .tensor(many), .int(-5), .int(12 << 24), .int(9), .int(2), .bool(isFused),
            ])
            return try to.values(as: Float.self)
        }
        #expect(made[0] == made[1])
    }

    @Test func `a part of a tensor is rounded as all of it is`() throws {
        let values = try Generator(seed: 6).normal([3000])
        let round = Operator("cascade::round_by_chance_")
        func rounded(_ range: Range<Int>, isFused: Bool) throws -> [Float] {
            let to = try Tensor.zeros([range.count], dtype: .bfloat16)
            _ = try round.call([
                .tensor(to), .tensor(values.sliced(0, range)), .int(-5), .int(12 << 24), .int(9), .int(2),
                .bool(isFused), .int(range.lowerBound),
            ])
            return try to.values(as: Float.self)
        }
        let whole = try rounded(0..<3000, isFused: true)
        for range in [0..<256, 256..<1280, 1280..<3000, 2944..<2950] {
            for isFused in [true, false] {
                #expect(try rounded(range, isFused: isFused) == Array(whole[range]), "\(range)")
            }
        }
        #expect(throws: Failure.self) { try rounded(100..<200, isFused: true) }
    }

    @Test func `threads do not matter`() throws {
        let engine = try Engine.shared()
        let before = engine.threads
        defer { try? engine.setThreads(before) }
        let values = try Generator(seed: 5).normal([300_000])
        let rounded = try [1, 4].map { threads in
            try engine.setThreads(threads)
            let to = try Tensor.zeros([300_000], dtype: .bfloat16)
            try Draws(seed: 3, places: 7..<8).round(values, into: to)
            return try to.values(as: Float.self)
        }
        #expect(rounded[0] == rounded[1])
    }

    @Test func `a mean of rounded weights is float32, and stays so when it is looked at`() throws {
        let rounded = try Rounded()
        let optimizer = try AdamW(rounded.groups)
        let average = try AveragedWeights(
            of: optimizer.groups.parameters, .init(start: 0, every: 1, beta: 0.9))
        var expected = try rounded.values().map { $0.map(Double.init) }
        for update in 1...6 {
            try rounded.train(optimizer, updates: update...update)
            try average.follow(update: update)
            for (index, values) in try rounded.values().enumerated() {
                expected[index] = zip(expected[index], values).map { 0.9 * $0 + 0.1 * Double($1) }
            }
        }
        let (weights, means) = (try rounded.values(), try average.means.map { try $0.tensor.values(as: Float.self) })
        for (mean, expected) in zip(means.joined(), expected.joined()) { #expect(abs(Double(mean) - expected) < 1e-6) }
        let seen = try average.withAverage { try rounded.values() }
        for (value, mean) in zip(seen.joined(), means.joined()) { #expect(abs(value - mean) <= abs(mean) / 256) }
        #expect(try rounded.values() == weights)
        #expect(try average.means.map { try $0.tensor.values(as: Float.self) } == means)
    }
}
