import Glibc
import Telemetry
import Testing

/// One after the other: dispositions and the flag belong to the whole process.
@Suite(.serialized) struct Interruptions {
    @Test(arguments: [SIGTERM, SIGUSR1, SIGINT])
    func `a signal asks the run to end instead of ending it`(number: Int32) {
        Interruption.install()
        defer { restore() }
        #expect(!Interruption.isRequested && Interruption.signal == nil)
        send(number)
        #expect(Interruption.isRequested && Interruption.signal == number)
        send(number == SIGTERM ? SIGUSR1 : SIGTERM)
        #expect(Interruption.signal == number)
    }

    @Test func `after the first SIGINT the next one ends the process`() {
        Interruption.install()
        defer { restore() }
        #expect(!isDefault(SIGINT))
        send(SIGINT)
        #expect(isDefault(SIGINT))
        #expect(!isDefault(SIGTERM))
    }

    /// Delivers a signal to this thread before it returns; threads of a pool block signals.
    private func send(_ number: Int32) {
        var set = sigset_t()
        var old = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, number)
        pthread_sigmask(SIG_UNBLOCK, &set, &old)
        raise(number)
        pthread_sigmask(SIG_SETMASK, &old, nil)
    }

    private func restore() {
        for number in [SIGINT, SIGTERM, SIGUSR1] { signal(number, SIG_DFL) }
    }

    private func isDefault(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 0
    }
}
