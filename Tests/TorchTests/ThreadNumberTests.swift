import Foundation
import Testing
import Torch

@Suite struct ThreadNumbers {
    /// What `body` gives on a thread of its own.
    private static func onThread(_ body: @escaping @Sendable () throws -> [Int]) throws -> [Int] {
        nonisolated(unsafe) var result: Result<[Int], any Error> = .success([])
        let isDone = DispatchSemaphore(value: 0)
        Thread {
            result = Result { try body() }
            isDone.signal()
        }.start()
        isDone.wait()
        return try result.get()
    }

    @Test func `a number of a thread's own is no other thread's`() async {
        await #expect(processExitsWith: .success) {
            let engine = try Engine.shared()
            try engine.setThreads(3)
            let own = try Self.onThread {
                let before = engine.threads
                try engine.setThreadsOfThisThread(1)
                let first = engine.threads
                try engine.setThreadsOfThisThread(2)
                return [before, first, engine.threads]
            }
            #expect(own == [3, 1, 2])
            #expect(engine.threads == 3)
            #expect(try Self.onThread { [engine.threads] } == [3])
            #expect(throws: (any Error).self) { try engine.setThreadsOfThisThread(0) }
            #expect(engine.threads == 3)
        }
    }

    /// Attention's result and gradients, for heads so small that libtorch takes one thread for them.
    private static func attention() throws -> [[Float]] {
        let generator = try Generator(seed: 3)
        let inputs = try (0..<3).map { _ in try generator.normal([1, 5, 7, 8]) }
        for input in inputs { try input.setRequiresGrad(true) }
        let result = try Tensor.attention(inputs[0], inputs[1], inputs[2])
        try result.sum().backward()
        return try ([result.detached()] + inputs.map { try #require(try $0.gradient()) }).map {
            try $0.values(as: Float.self)
        }
    }

    /// A linear layer's result and gradients by the products that the processor has, whose sums go on from part to part.
    private static func linear(_ dtype: DType) throws -> [[Float]] {
        guard dtype == .float32 || Processor.isFastAtBFloat16 else { return [] }
        let generator = try Generator(seed: 4)
        let inputs = try [[2, 700, 190], [330, 190], [330]].map { try generator.normal($0).to(dtype: dtype) }
        for input in inputs { try input.setRequiresGrad(true) }
        let result = try Operator("cascade::linear_by_blocks")(
            .tensor(inputs[0]), .tensor(inputs[1]), .tensor(inputs[2]))
        try result.backward(generator.normal([2, 700, 330]).to(dtype: dtype))
        return try ([result.detached()] + inputs.map { try #require(try $0.gradient()) }).map {
            try $0.to(dtype: .float32).values(as: Float.self)
        }
    }

    @Test func `the engine's own kernels run on as many threads, to the same numbers`() async {
        await #expect(processExitsWith: .success) {
            let engine = try Engine.shared()
            let started = { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count }
            try engine.setThreads(1)
            let alone = try Self.attention() + Self.linear(.float32) + Self.linear(.bfloat16)
            let before = try started()
            try engine.setThreads(4)
            #expect(try Self.attention() + Self.linear(.float32) + Self.linear(.bfloat16) == alone)
            #expect(try started() == before + 3)
        }
    }
}
