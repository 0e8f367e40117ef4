import Files
import Glibc
import Synchronization

/// The first signal that came; 0 until then.
private let received = Atomic<Int32>(0)

/// When somebody first found that one had come.
private let noticed = Mutex<ContinuousClock.Instant?>(nil)

/// Signals that ask a run to save and end: SIGINT, SIGTERM, SIGHUP (a terminal that closes), SIGUSR1 and SIGUSR2 (which
/// schedulers send before a job's time ends). A SIGHUP that is ignored, as under nohup, stays so.
///
/// The first SIGINT also gives that signal its default back, so that a second one ends the process at once.
public enum Interruption {
    private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2]

    /// Ends the process with status 130 at a signal, while there is nothing to save yet.
    public static func endAtOnce() {
        for signal in signals {
            listen(to: signal, flags: SA_RESTART) { _ in
                let words: StaticString = "stopped before training began; nothing was changed\n"
                _ = write(STDERR_FILENO, words.utf8Start, words.utf8CodeUnitCount)
                _exit(130)
            }
        }
    }

    /// Listens to the signals from now on, as if none had come.
    public static func install() {
        // This also initialises the flag, which the handler must find so: it may do nothing but store a number.
        received.store(0, ordering: .relaxed)
        noticed.withLock { $0 = nil }
        for signal in signals {
            let flags = SA_RESTART | (signal == SIGINT ? Int32(truncatingIfNeeded: SA_RESETHAND) : 0)
            listen(to: signal, flags: flags) { number in
                _ = received.compareExchange(expected: 0, desired: number, ordering: .relaxed)
            }
        }
    }

    /// - Parameter handler: may do only what is safe at any moment.
    private static func listen(to signal: Int32, flags: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) {
        if signal == SIGHUP, Signals.isIgnored(signal) { return }
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        action.sa_flags = flags
        sigaction(signal, &action, nil)
        Signals.letThrough(signal)
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
