import Failures
import Glibc

/// A thread that can be waited for.
public struct WorkThread: Sendable {
    private let thread: pthread_t

    /// The body's place on the way to the thread.
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// What decoders and a JSON of many levels need, and more.
    private static let stackBytes = 4 << 20

    /// - Throws: a failure of the run where the system has no thread left.
    public init(_ run: @escaping @Sendable () -> Void) throws {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackBytes)
        let body = Unmanaged.passRetained(Body(run))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { body in
                if let body { Unmanaged<Body>.fromOpaque(body).takeRetainedValue().run() }
                return nil
            }, body.toOpaque())
        guard status == 0 else {
            body.release()
            throw Failure.run("can't start a thread", got: String(cString: strerror(status)))
        }
        self.thread = thread
    }

    /// Waits until the thread has ended; once.
    public func join() { pthread_join(thread, nil) }
}
