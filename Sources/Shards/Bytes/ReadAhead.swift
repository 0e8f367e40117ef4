/// The bytes of a slow source, read on a thread of its own into a ring of fixed size.
///
/// Making it does not wait: the source is opened on its thread. With this value thread and source go.
final class ReadAhead: ByteSource {
    private let ring: Ring
    private let thread: WorkThread

    /// - Parameters:
    ///   - bytes: the ring's size.
    ///   - open: opens the source, on its thread; asks `isCancelled` whether anybody still waits.
    init(
        bytes: Int, open: @escaping @Sendable (_ isCancelled: @escaping @Sendable () -> Bool) throws -> any ByteSource
    ) throws {
        let ring = Ring(capacity: bytes)
        self.ring = ring
        thread = try WorkThread {
            do {
                let source = try open { ring.isCancelled }
                while try ring.fill({ try source.read(into: $0) }) {}
                ring.end(nil)
            } catch {
                ring.end(error)
            }
        }
    }

    deinit {
        ring.cancel()
        thread.join()
    }

    /// Whether all there is lies in the ring, or was read from it.
    var isComplete: Bool { ring.isEnded }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try ring.take(into: buffer) }
}

/// Bytes between one thread that fills and one that takes.
private final class Ring: @unchecked Sendable {
    // All below is changed under the lock alone; the free stretch is written to by the filling thread, and the filled
    // one read by the taking thread, without it.
    private let monitor = Monitor()
    private let changed = Monitor.Condition()
    private let storage: UnsafeMutableRawBufferPointer
    private var start = 0
    private var count = 0
    private var hasEnded = false
    private var error: (any Error)?
    private var cancelled = false

    init(capacity: Int) {
        storage = .allocate(byteCount: max(1, capacity), alignment: 64)
    }

    deinit { storage.deallocate() }

    var isCancelled: Bool { monitor.withLock { cancelled } }

    var isEnded: Bool { monitor.withLock { hasEnded } }

    func cancel() {
        monitor.withLock {
            cancelled = true
            changed.broadcast()
        }
    }

    func end(_ error: (any Error)?) {
        monitor.withLock {
            hasEnded = true
            self.error = error
            changed.broadcast()
        }
    }

    /// Waits for room and lets `read` fill it.
    /// - Returns: whether there may be more.
    func fill(_ read: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Bool {
        let free: Range<Int>? = monitor.withLock {
            while count == storage.count && !cancelled { monitor.wait(for: changed) }
            if cancelled { return nil }
            let end = (start + count) % storage.count
            return end..<(end < start ? start : storage.count)
        }
        guard let free else { return false }
        let got = try read(UnsafeMutableRawBufferPointer(rebasing: storage[free]))
        if got == 0 { return false }
        monitor.withLock {
            count += got
            changed.broadcast()
        }
        return true
    }

    /// Waits for bytes and copies some.
    /// - Throws: what ended the filling, once all that came before is taken.
    func take(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let filled: Range<Int> = try monitor.withLock {
            while count == 0 && !hasEnded { monitor.wait(for: changed) }
            if count == 0, let error { throw error }
            return start..<(start + min(count, storage.count - start))
        }
        let taken = min(filled.count, buffer.count)
        if taken == 0 { return 0 }
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[filled.prefix(taken)]))
        monitor.withLock {
            start = (start + taken) % storage.count
            count -= taken
            changed.broadcast()
        }
        return taken
    }
}
