import Failures
import Foundation
import Shards

/// Runs a loader beside the train loop and keeps a few batches ready.
///
/// What crosses between the threads is plain data; the loader itself never leaves its thread.
public final class LoaderThread: @unchecked Sendable {
    private let condition = NSCondition()
    private var ready: [Result<PictureBatch, any Error>] = []
    private var isStopped = false
    private var drops = Drops()
    private static let depth = 2

    /// - Parameter make: makes the loader, on its thread.
    public init(_ make: @escaping @Sendable () throws -> BatchLoader) {
        let thread = Thread { [self] in
            do {
                var loader = try make()
                while hand(over: .success(try loader.next()), loader.drops) {}
            } catch {
                _ = hand(over: .failure(error), Drops())
            }
        }
        thread.name = "data"
        thread.stackSize = 4 << 20
        thread.start()
    }

    /// The next batch, with the seconds it was waited for.
    public func next() throws -> PictureBatch {
        condition.lock()
        defer { condition.unlock() }
        while ready.isEmpty { condition.wait() }
        // A failure stays, so that asking again can't wait for ever.
        if case .failure(let error) = ready[0] { throw error }
        defer { condition.broadcast() }
        return try ready.removeFirst().get()
    }

    /// What was lost on the way so far, by reason.
    public var lost: Drops {
        condition.lock()
        defer { condition.unlock() }
        return drops
    }

    /// Lets the thread end at its next batch.
    public func stop() {
        condition.lock()
        isStopped = true
        condition.broadcast()
        condition.unlock()
    }

    /// - Returns: whether to go on.
    private func hand(over batch: Result<PictureBatch, any Error>, _ lost: Drops) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while ready.count >= Self.depth && !isStopped { condition.wait() }
        if !lost.isEmpty { drops = lost }
        ready.append(batch)
        condition.broadcast()
        return !isStopped
    }
}
