import Foundation
import Optimization
import TestSupport
import Testing
import Torch

/// Tensors of which several processes, here threads, step a part each, come to what one comes to that steps all.
@Suite struct SharedSteps {
    /// Where they add up tensors.
    private final class Meeting: @unchecked Sendable {
        private let condition = NSCondition()
        private let ranks: Int
        private var (arrived, round) = (0, 0)
        private var sums: [Tensor] = []
        private var result: [Tensor] = []

        init(_ ranks: Int) { self.ranks = ranks }

        func sum(_ tensors: [Tensor]) throws {
            condition.lock()
            defer { condition.unlock() }
            if arrived == 0 { sums = try tensors.map { try .zeros($0.shape, dtype: $0.dtype) } }
            for (sum, tensor) in zip(sums, tensors) { try sum.accumulate(tensor) }
            arrived += 1
            let mine = round
            if arrived == ranks {
                (result, arrived, round) = (sums, 0, round + 1)
                condition.broadcast()
            }
            while round == mine { condition.wait() }
            for (tensor, sum) in zip(tensors, result) { try tensor.assign(sum) }
        }
    }

    /// A matrix, kernels, a row that one process has all of, one of zeros, and a vector; in the order of their groups.
    private static let shapes = [
        ("matrix", [37, 29]), ("kernel", [24, 5, 3, 3]), ("row", [1, 40]), ("zeros", [30, 20]), ("vector", [900]),
    ]

    private func start(_ name: String, _ shape: [Int]) throws -> Tensor {
        let generator = try Generator(seed: UInt64(name.utf8.reduce(0) { $0 + Int($1) }))
        return try name == "zeros" ? .zeros(shape) : generator.normal(shape)
    }

    private func gradient(_ name: String, _ shape: [Int], _ update: Int) throws -> Tensor {
        try Generator(seed: UInt64(1000 * update + name.utf8.reduce(0) { $0 + Int($1) })).normal(shape)
    }

    /// Cut where a block of eight-bit moments ends.
    private func part(_ shape: [Int], _ rank: Int, of ranks: Int) -> Range<Int> {
        let count = shape.reduce(1, *)
        func cut(_ rank: Int) -> Int { rank == ranks ? count : min(count, (count * rank / ranks + 255) / 256 * 256) }
        return cut(rank)..<cut(rank + 1)
    }

    private struct Stepped {
        var weights: [String: [Float]] = [:]
        var state: [String: [Double]] = [:]
        var parts: [String: Range<Int>] = [:]
        var shapes: [String: [Int]] = [:]
    }

    /// What a process has after some updates.
    private func stepped(
        by choice: OptimizerChoice, in dtype: DType, _ rank: Int = 0, of ranks: Int = 1, _ meeting: Meeting? = nil
    ) throws -> Stepped {
        let wholes = Self.shapes.map { name, shape in
            SharedTensors.Whole(
                name: name, shape: shape, part: part(shape, rank, of: ranks), startsAtZero: name == "zeros")
        }
        func own(_ whole: SharedTensors.Whole, _ value: Tensor) throws -> Tensor {
            meeting == nil ? value : try value.reshaped([-1]).sliced(0, whole.part).cloned()
        }
        let parameters = try wholes.filter { !$0.part.isEmpty }.map {
            (name: $0.name, tensor: try own($0, start($0.name, $0.shape).to(dtype: dtype)))
        }
        let groups = [
            ParameterGroup(parameters.filter { $0.name != "vector" }, weightDecay: 0.1),
            ParameterGroup(parameters.filter { $0.name == "vector" }),
        ]
        let shared = meeting.map { meeting in SharedTensors(wholes) { try meeting.sum($0) } }
        let optimizer = try choice.make(groups, among: shared)
        for update in 1...6 {
            let gradients = try groups.parameters.map { name, _ in
                let whole = try #require(wholes.first { $0.name == name })
                return try own(whole, gradient(name, whole.shape, update)).cloned()
            }
            if dtype == .float32 {
                for (parameter, gradient) in zip(groups.parameters, gradients) {
                    try parameter.tensor.setGradient(gradient)
                }
                try optimizer.step(learningRate: 0.01, gradientScale: 0.7)
            } else {
                let rounding = Draws(seed: 5, update: update, places: wholes.indices)
                let step = TensorStep(
                    learningRate: 0.01, gradientScale: 0.7, rounding: rounding, among: shared)
                try optimizer.stepEach(step) { gradients[$0] }
            }
        }
        var stepped = Stepped()
        for (name, tensor) in groups.parameters {
            stepped.weights[name] = try tensor.to(dtype: .float32).values()
        }
        for (name, tensor) in optimizer.state {
            stepped.state[name] = try tensor.to(dtype: .float64).values()
            stepped.shapes[name] = tensor.shape
        }
        for entry in shared.map(optimizer.state) ?? [] {
            stepped.parts[entry.name] = entry.part
            stepped.shapes[entry.name] = entry.shape
        }
        return stepped
    }

    private func stepped(
        by choice: OptimizerChoice, in dtype: DType = .float32, among ranks: Int
    ) throws -> [Stepped] {
        let (meeting, condition) = (Meeting(ranks), NSCondition())
        nonisolated(unsafe) var results = [Result<Stepped, any Error>?](repeating: nil, count: ranks)
        for rank in 0..<ranks {
            Thread {
                let result = Result { try self.stepped(by: choice, in: dtype, rank, of: ranks, meeting) }
                condition.lock()
                results[rank] = result
                condition.broadcast()
                condition.unlock()
            }.start()
        }
        condition.lock()
        while results.contains(where: { $0 == nil }) { condition.wait() }
        condition.unlock()
        return try results.compactMap { try $0?.get() }
    }

    private static let choices: [OptimizerChoice] = {
        var (eightBit, mean, scaled) = (
            AdamW8bit.Configuration(), Adafactor.Configuration(), Adafactor.Configuration()
        )
        eightBit.leastElements = 850
        mean.beta1 = 0.9
        (scaled.scalesByParameter, scaled.clipThreshold) = (true, 0.5)
        return [
            .adamW(AdamW.Configuration()), .adamW8bit(eightBit), .adafactor(mean), .adafactor(scaled),
            .prodigy(Prodigy.Configuration()),
        ]
    }()

    @Test(arguments: choices.indices, [2, 3]) func `parts are stepped as the whole is`(index: Int, ranks: Int) throws {
        let choice = Self.choices[index]
        let (one, all) = (try stepped(by: choice, in: .float32), try stepped(by: choice, among: ranks))
        for (name, shape) in Self.shapes {
            let whole = try #require(one.weights[name])
            let joined = all.flatMap { $0.weights[name] ?? [] }
            #expect(joined.count == shape.reduce(1, *))
            for (ours, theirs) in zip(joined, whole) {
                #expect(abs(ours - theirs) <= 2e-6 * max(1, abs(theirs)), "\(choice.name), \(name)")
            }
        }
        #expect(Set(all[0].shapes.keys) == Set(one.state.keys))
        for (name, values) in one.state {
            #expect(all.allSatisfy { $0.shapes[name] == one.shapes[name] }, "\(name)")
            let isShared = all[0].parts[name] != nil
            let joined = isShared ? all.flatMap { $0.state[name] ?? [] } : all[0].state[name] ?? []
            #expect(joined.count == values.count, "\(name)")
            if !isShared { for other in all { #expect(other.state[name] == all[0].state[name], "\(name)") } }
            for (ours, theirs) in zip(joined, values) {
                #expect(abs(ours - theirs) <= 2e-6 * max(1, abs(theirs)), "\(name)")
            }
        }
    }

    @Test(arguments: 0...3, [2, 3]) func `parts in bfloat16 are rounded as the whole is`(index: Int, ranks: Int) throws
    {
        let choice = Self.choices[index]
        let one = try stepped(by: choice, in: .bfloat16)
        let all = try stepped(by: choice, in: .bfloat16, among: ranks)
        for (name, _) in Self.shapes {
            let whole = try #require(one.weights[name])
            let joined = all.flatMap { $0.weights[name] ?? [] }
            #expect(joined.count == whole.count)
            let others = zip(joined, whole).filter { $0 != $1 }.count
            // Sums over rows and columns round otherwise, and by that a few numbers go to their other neighbour.
            let isExact = choice.name != Adafactor.name
            #expect(isExact ? others == 0 : others <= 1 + whole.count / 200, "\(choice.name), \(name): \(others)")
        }
    }
}
