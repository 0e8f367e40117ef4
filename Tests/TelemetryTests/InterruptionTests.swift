import Glibc
import Telemetry
import Testing

/// Each in a process of its own: dispositions and the flag belong to the whole process, and other tests train.
@Suite struct Interruptions {
    @Test(arguments: [SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT])
    func `a signal asks the run to end instead of ending it`(number: Int32) async {
        await #expect(processExitsWith: .success) { [number = number as Int32] in
            Interruption.install()
            #expect(!Interruption.isRequested && Interruption.signal == nil)
            raise(number)
            #expect(Interruption.isRequested && Interruption.signal == number)
            raise(number == SIGTERM ? SIGUSR1 : SIGTERM)
            #expect(Interruption.signal == number)
        }
    }

    @Test func `a SIGHUP that is ignored stays so`() async {
        await #expect(processExitsWith: .success) {
            signal(SIGHUP, SIG_IGN)
            Interruption.endAtOnce()
            raise(SIGHUP)
            Interruption.install()
            raise(SIGHUP)
            #expect(!Interruption.isRequested)
            raise(SIGUSR2)
            #expect(Interruption.signal == SIGUSR2)
        }
    }

    @Test func `after the first SIGINT the next one ends the process`() async {
        await #expect(processExitsWith: .signal(SIGINT)) {
            Interruption.install()
            raise(SIGINT)
            raise(SIGTERM)
            guard Interruption.signal == SIGINT else { exit(3) }
            raise(SIGINT)
        }
    }

    @Test func `signals that the parent held back come through`() async {
        await #expect(processExitsWith: .success) {
            var all = sigset_t()
            sigfillset(&all)
            pthread_sigmask(SIG_BLOCK, &all, nil)
            Interruption.install()
            raise(SIGUSR1)
            #expect(Interruption.signal == SIGUSR1)
        }
    }
}
