import Glibc
import Synchronization

/// The first signal that came; 0 until then.
private let received = Atomic<Int32>(0)

/// When somebody first found that one had come.
private let noticed = Mutex<ContinuousClock.Instant?>(nil)

/// Signals that ask a run to save and end: SIGINT, SIGTERM and SIGUSR1 (which schedulers send before a job's time ends).
///
/// The first SIGINT also gives that signal its default back, so that a second one ends the process at once.
public enum Interruption {
    /// Listens to the signals from now on, as if none had come.
    public static func install() {
        // This also initialises the flag, which the handler must find so: it may do nothing but store a number.
        received.store(0, ordering: .relaxed)
        noticed.withLock { $0 = nil }
        var unblocked = sigset_t()
        sigemptyset(&unblocked)
        for signal in [SIGINT, SIGTERM, SIGUSR1] {
            sigaddset(&unblocked, signal)
            var action = sigaction()
            action.__sigaction_handler.sa_handler = { number in
                _ = received.compareExchange(expected: 0, desired: number, ordering: .relaxed)
            }
            action.sa_flags = SA_RESTART | (signal == SIGINT ? Int32(truncatingIfNeeded: SA_RESETHAND) : 0)
            sigaction(signal, &action, nil)
        }
        // Whoever started the process may have handed down a mask that holds them back for ever.
        pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
    }

    /// Whether a signal has asked the run to end.
    public static var isRequested: Bool { signal != nil }

    /// Whether a signal asked the run to end, and this has been known for so long: what waits for others gives up then.
    public static func isOverdue(after patience: Duration) -> Bool {
        guard isRequested else { return false }
        return noticed.withLock { first in
            let now = ContinuousClock.now
            let began = first ?? now
            first = began
            return now - began >= patience
        }
    }

    /// The signal that asked first.
    public static var signal: Int32? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : number
    }
}
