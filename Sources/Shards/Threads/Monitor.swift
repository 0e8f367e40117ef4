import Glibc

/// A lock, and conditions that a thread can wait for while it holds it.
public final class Monitor: @unchecked Sendable {
    /// What some threads wait for.
    public final class Condition: @unchecked Sendable {
        fileprivate let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

        /// For threads that hold the same monitor's lock while they wait.
        public init() { pthread_cond_init(condition, nil) }

        deinit {
            pthread_cond_destroy(condition)
            condition.deallocate()
        }

        /// Wakes one of the threads that wait.
        public func signal() { pthread_cond_signal(condition) }

        /// Wakes all of them.
        public func broadcast() { pthread_cond_broadcast(condition) }
    }

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

    /// Nobody holds the lock yet.
    public init() { pthread_mutex_init(mutex, nil) }

    deinit {
        pthread_mutex_destroy(mutex)
        mutex.deallocate()
    }

    /// Runs the body while no other thread holds the lock; not to be called again from within.
    public func withLock<Value>(_ body: () throws -> Value) rethrows -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// Gives the lock up until the condition is signalled and holds it again afterwards; it may also wake for nothing.
    public func wait(for condition: Condition) { pthread_cond_wait(condition.condition, mutex) }
}
