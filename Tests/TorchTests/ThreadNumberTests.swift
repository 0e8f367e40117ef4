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
}
