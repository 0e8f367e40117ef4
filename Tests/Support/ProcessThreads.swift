import Foundation
import Torch

/// What each process of a group comes to; the processes are threads of this one, which wait for each other.
/// - Parameter body: what a process does with the group. Its result is handed to the caller's thread.
public func inGroup<Value>(of count: Int, _ body: @escaping @Sendable (ProcessGroup) throws -> Value) throws -> [Value]
{
    let port = try freePort()
    let results = Results<Value>(count)
    let threads = (0..<count).map { rank in
        Thread {
            results[rank] = Result {
                let place = ProcessGroup.Place(
                    rank: rank, size: count, localRank: rank, host: "127.0.0.1", port: port)
                return try body(ProcessGroup(place, patience: 60))
            }
        }
    }
    for thread in threads { thread.start() }
    return try results.all()
}

private final class Results<Value>: @unchecked Sendable {
    private let condition = NSCondition()
    private var results: [Result<Value, any Error>?]

    init(_ count: Int) { results = Array(repeating: nil, count: count) }

    subscript(index: Int) -> Result<Value, any Error>? {
        get { condition.withLock { results[index] } }
        set {
            condition.withLock {
                results[index] = newValue
                condition.signal()
            }
        }
    }

    func all() throws -> [Value] {
        condition.lock()
        defer { condition.unlock() }
        while results.contains(where: { $0 == nil }) { condition.wait() }
        return try results.compactMap { try $0?.get() }
    }
}
