import Failures
import Glibc

/// The bytes of a slow source, read on a thread of its own into a ring of fixed size.
///
/// Making it does not wait: the source is opened on its thread. With this value thread and source go.
final class ReadAhead: ByteSource {
    private let ring: Ring
    private var thread = pthread_t()

    /// - Parameters:
    ///   - bytes: the ring's size.
    ///   - open: opens the source, on its thread; asks `isCancelled` whether anybody still waits.
    init(
        bytes: Int, open: @escaping @Sendable (_ isCancelled: @escaping @Sendable () -> Bool) throws -> any ByteSource
    ) throws {
        ring = Ring(capacity: bytes)
        let work = Unmanaged.passRetained(Work(ring: ring, open: open))
        let code = pthread_create(&thread, nil, { Work.run($0) }, work.toOpaque())
        guard code == 0 else {
            work.release()
            thread = 0
            throw Failure.run("no thread for reading ahead", got: String(cString: strerror(code)))
        }
    }

    deinit {
        ring.cancel()
        if thread != 0 { pthread_join(thread, nil) }
    }

    /// Whether all there is lies in the ring, or was read from it.
    var isComplete: Bool { ring.isEnded }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int { try ring.take(into: buffer) }

    /// What the thread does.
    private final class Work: Sendable {
        let ring: Ring
        let open: @Sendable (@escaping @Sendable () -> Bool) throws -> any ByteSource

        init(ring: Ring, open: @escaping @Sendable (@escaping @Sendable () -> Bool) throws -> any ByteSource) {
            self.ring = ring
            self.open = open
        }

        static func run(_ pointer: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
            if let pointer { Unmanaged<Work>.fromOpaque(pointer).takeRetainedValue().run() }
            return nil
        }

        private func run() {
            do {
                let source = try open { [ring] in ring.isCancelled }
                while try ring.fill({ try source.read(into: $0) }) {}
                ring.end(nil)
            } catch {
                ring.end(error)
            }
        }
    }
}

/// Bytes between one thread that fills and one that takes.
private final class Ring: @unchecked Sendable {
    // All below is changed under the lock alone; the free stretch is written to by the filling thread, and the filled
    // one read by the taking thread, without it.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private let storage: UnsafeMutableRawBufferPointer
    private var start = 0
    private var count = 0
    private var hasEnded = false
    private var error: (any Error)?
    private var cancelled = false

    init(capacity: Int) {
        storage = .allocate(byteCount: max(1, capacity), alignment: 64)
        lock = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        pthread_cond_init(changed, nil)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(lock)
        changed.deallocate()
        lock.deallocate()
        storage.deallocate()
    }

    private func locked<Result>(_ body: () throws -> Result) rethrows -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return try body()
    }

    var isCancelled: Bool { locked { cancelled } }

    var isEnded: Bool { locked { hasEnded } }

    func cancel() {
        locked {
            cancelled = true
            pthread_cond_broadcast(changed)
        }
    }

    func end(_ error: (any Error)?) {
        locked {
            hasEnded = true
            self.error = error
            pthread_cond_broadcast(changed)
        }
    }

    /// Waits for room and lets `read` fill it.
    /// - Returns: whether there may be more.
    func fill(_ read: (UnsafeMutableRawBufferPointer) throws -> Int) throws -> Bool {
        let free: Range<Int>? = locked {
            while count == storage.count && !cancelled { pthread_cond_wait(changed, lock) }
            if cancelled { return nil }
            let end = (start + count) % storage.count
            return end..<(end < start ? start : storage.count)
        }
        guard let free else { return false }
        let got = try read(UnsafeMutableRawBufferPointer(rebasing: storage[free]))
        if got == 0 { return false }
        locked {
            count += got
            pthread_cond_broadcast(changed)
        }
        return true
    }

    /// Waits for bytes and copies some.
    /// - Throws: what ended the filling, once all that came before is taken.
    func take(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let filled: Range<Int> = try locked {
            while count == 0 && !hasEnded { pthread_cond_wait(changed, lock) }
            if count == 0, let error { throw error }
            return start..<(start + min(count, storage.count - start))
        }
        let taken = min(filled.count, buffer.count)
        if taken == 0 { return 0 }
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage[filled.prefix(taken)]))
        locked {
            start = (start + taken) % storage.count
            count -= taken
            pthread_cond_broadcast(changed)
        }
        return taken
    }
}
