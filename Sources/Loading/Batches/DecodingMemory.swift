import Shards

/// Bounds what images take while they are decoded: a file of some kilobytes may stand for hundreds of megabytes, in
/// each of several threads.
final class DecodingMemory: @unchecked Sendable {
    private let limit: Int
    private let monitor = Monitor()
    private let freed = Monitor.Condition()
    private var taken = 0

    /// Bytes that all images may take together; one alone may take more.
    static let limit = 512 << 20

    init(limit: Int = DecodingMemory.limit) { self.limit = limit }

    /// Decodes once there is room.
    func with<Value>(bytes: Int, _ decode: () throws -> Value) rethrows -> Value {
        monitor.withLock {
            while taken > 0, taken + bytes > limit { monitor.wait(for: freed) }
            taken += bytes
        }
        defer {
            monitor.withLock {
                taken -= bytes
                freed.broadcast()
            }
        }
        return try decode()
    }
}
