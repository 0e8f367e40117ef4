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

    @Test func `the engine's own kernels run on as many threads, to the same numbers`() async {
        await #expect(processExitsWith: .success) {
            let engine = try Engine.shared()
            let started = { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count }
            try engine.setThreads(1)
            let alone = try Self.attention()
            let before = try started()
            try engine.setThreads(4)
            #expect(try Self.attention() == alone)
            #expect(try started() == before + 3)
        }
    }
}
