import Failures
import Files
import Glibc
import Synchronization

/// The standard output of a shell command, such as that of a shard's `pipe:COMMAND`.
///
/// The command runs in a process group of its own with an empty standard input. It is ended and reaped when this value
/// goes; a status other than 0, or a signal, is a failure at the end of its output. Source: webdataset's `pipe:`.
public final class CommandBytes: ByteSource {
    private let output: Int32
    private var process: pid_t
    private let name: String
    private let isCancelled: @Sendable () -> Bool
    /// Milliseconds between two looks at whether anybody still waits.
    private static let slice: Int32 = 50
    /// Seconds that a command may take to end after its output has.
    private static let patience = 30.0

    /// - Parameters:
    ///   - command: as the shell takes it.
    ///   - parameters: its `$1`, `$2` and so on, or all of them as `"$@"`.
    ///   - name: for messages.
    ///   - isCancelled: asked while there is nothing to read.
    public init(
        _ command: String, parameters: [String] = [], name: String, isCancelled: @escaping @Sendable () -> Bool
    ) throws {
        self.name = name
        self.isCancelled = isCancelled
        (output, process) = try Self.starting.withLock { _ in
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw SystemError.current.failure("no pipe for the command", path: name) }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            let (code, started) = Self.start(["sh", "-c", command, "sh"] + parameters, output: ends[1])
            _ = close(ends[1])
            guard code == 0 else {
                _ = close(ends[0])
                throw SystemError(code: code).failure("can't start the command", path: name)
            }
            return (ends[0], started)
        }
    }

    /// One command starts at a time: another's would else hold the end of this one's pipe open.
    private static let starting = Mutex(())

    private static func start(_ words: [String], output: Int32) -> (code: Int32, process: pid_t) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // A group of its own: ended together, and untouched by an interrupt from the terminal, after which a run
        // still finishes its update.
        posix_spawnattr_setpgroup(&attributes, 0)
        var (none, defaults) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        var process = pid_t()
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { (word: String) in strdup(word) }
        defer { for argument in arguments { free(argument) } }
        arguments.append(nil)
        return (posix_spawn(&process, "/bin/sh", &actions, &attributes, arguments, environ), process)
    }

    deinit {
        _ = close(output)
        guard process > 0 else { return }
        kill(-process, SIGTERM)
        for _ in 0..<20 where process > 0 {
            if reap() == nil { usleep(10_000) }
        }
        if process > 0 {
            kill(-process, SIGKILL)
            while waitpid(process, nil, 0) < 0 && errno == EINTR {}
        }
    }

    /// Waits for output and reads what there is of it.
    /// - Returns: how many bytes; 0 at the end of a command that ended with status 0.
    /// - Throws: a failure of the input where the command failed; `CancellationError`.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            if isCancelled() { throw CancellationError() }
            var watched = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            if poll(&watched, 1, Self.slice) <= 0 { continue }
            let count = Glibc.read(output, buffer.baseAddress, buffer.count)
            if count > 0 { return count }
            if count == 0 {
                try finish()
                return 0
            }
            if errno != EINTR { throw SystemError.current.failure("can't read from the command", path: name) }
        }
    }

    /// Waits for the command's end and judges it.
    private func finish() throws {
        var waited = 0.0
        while process > 0 {
            if let status = reap() {
                if status & 0x7F != 0 {
                    throw Failure.input("the command was ended by signal \(status & 0x7F)", at: .init(name))
                }
                let code = status >> 8 & 0xFF
                if code != 0 { throw Failure.input("the command ended with status \(code)", at: .init(name)) }
                return
            }
            if isCancelled() { throw CancellationError() }
            guard waited < Self.patience else {
                throw Failure.input("the command closed its output and does not end", at: .init(name))
            }
            usleep(5_000)
            waited += 0.005
        }
    }

    /// The wait status of a command that has ended, asked for once.
    private func reap() -> Int32? {
        var status: Int32 = 0
        let ended = waitpid(process, &status, WNOHANG)
        if ended == 0 || ended < 0 && errno == EINTR { return nil }
        process = 0
        return ended < 0 ? 0 : status
    }
}
