import Glibc

/// How this process treats signals.
public enum Signals {
    /// Whether a signal is ignored, as nohup has it of SIGHUP.
    public static func isIgnored(_ signal: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(signal, nil, &action) == 0, let handler = action.__sigaction_handler.sa_handler else {
            return false
        }
        return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }

    /// Lets a signal through; whoever started the process may have handed down a mask that holds it back for ever.
    public static func letThrough(_ signal: Int32) {
        var unblocked = sigset_t()
        sigemptyset(&unblocked)
        sigaddset(&unblocked, signal)
        pthread_sigmask(SIG_UNBLOCK, &unblocked, nil)
    }
}
