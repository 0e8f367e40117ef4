import CProcess
import Failures
import Foundation
import Synchronization
import Telemetry
import Torch

/// Several processes of this program on this machine, which train one run together: `--processes N`.
struct LocalProcesses {
    /// How many processes.
    let count: Int
    /// The arguments of the command that each runs.
    let arguments: [String]

    /// What a child finds of its place in the environment, and threads that share the processors.
    private func environment(of rank: Int, port: Int) -> [String: String] {
        var values = ProcessInfo.processInfo.environment
        values["RANK"] = "\(rank)"
        values["LOCAL_RANK"] = "\(rank)"
        values["WORLD_SIZE"] = "\(count)"
        values["LOCAL_WORLD_SIZE"] = "\(count)"
        values[Self.launcherKey] = "\(getpid())"
        values["MASTER_ADDR"] = "127.0.0.1"
        values["MASTER_PORT"] = "\(port)"
        if values["OMP_NUM_THREADS"] == nil {
            values["OMP_NUM_THREADS"] = "\(max(1, ProcessInfo.processInfo.activeProcessorCount / count))"
        }
        return values
    }

    /// The variable that tells a child which process started it.
    private static let launcherKey = "CASCADE_LAUNCHER"

    /// Lets this process end with the one that started it, where that is a launcher: also when that is killed and can end
    /// nobody any more.
    static func followLauncher(_ environment: [String: String]) {
        guard let launcher = environment[launcherKey].flatMap(Int32.init) else { return }
        if cascade_process_end_with(launcher) != 0 { kill(getpid(), SIGKILL) }
    }

    /// How a set of processes ended.
    struct Outcome {
        /// That of the first process that failed, as a shell has it; 0 where none did.
        var status: Int32 = 0
        /// How many were ended by signals that this program has not sent.
        var killed = 0
    }

    /// Runs them all, hands on what they say with the number of each before it, and ends the others when one fails.
    func run() throws -> Outcome {
        let port = try freePort()
        let program = Bundle.main.executablePath ?? CommandLine.arguments[0]
        var children: [Process] = []
        let ended = Ended()
        let said = Said()
        // Children are in this process's group: a terminal's signals reach them as well, others are handed on.
        let signals = [SIGINT, SIGTERM, SIGUSR1].map { signal in
            Glibc.signal(signal, SIG_IGN)
            return (signal, DispatchSource.makeSignalSource(signal: signal, queue: .global()))
        }
        defer { for (_, source) in signals { source.cancel() } }
        for rank in 0..<count {
            let child = Process()
            child.executableURL = URL(fileURLWithPath: program)
            child.arguments = arguments
            child.environment = environment(of: rank, port: port)
            Self.handOn(child, from: rank, said, results: rank == 0)
            child.terminationHandler = { child in
                ended.add(rank, child.terminationStatus, bySignal: child.terminationReason == .uncaughtSignal)
            }
            do {
                try child.run()
            } catch {
                for other in children { other.terminate() }
                throw Failure.run("process \(rank) can't be started", got: "\(error)")
            }
            children.append(child)
        }
        let identifiers = children.map(\.processIdentifier)
        @Sendable func tell(_ signal: Int32) {
            for (rank, child) in identifiers.enumerated() where !ended.has(rank) { kill(child, signal) }
        }
        for (number, source) in signals {
            source.setEventHandler { tell(number) }
            source.resume()
        }
        var outcome = Outcome()
        for _ in 0..<count {
            let next = ended.next()
            if next.bySignal, !ended.isOverdue {
                said.put("ended by signal \(next.status)", by: next.rank)
                outcome.killed += 1
            }
            guard next.status != 0, outcome.status == 0 else { continue }
            outcome.status = next.bySignal ? 128 + next.status : next.status
            // The others wait for it in vain; most of them notice by themselves.
            DispatchQueue.global().asyncAfter(deadline: .now() + Self.grace) {
                ended.isOverdue = true
                tell(SIGKILL)
            }
        }
        return outcome
    }

    /// How long the others have, in seconds, when one has ended with an error.
    private static let grace = 15.0

    /// Lines of a child's standard error with its number, but for those that another has said; of the results on standard
    /// output those of the first only.
    private static func handOn(_ child: Process, from rank: Int, _ said: Said, results: Bool) {
        let pipe = Pipe()
        child.standardError = pipe
        if !results { child.standardOutput = FileHandle.nullDevice }
        let reading = pipe.fileHandleForReading
        Thread.detachNewThread {
            var rest = Data()
            while true {
                let data = reading.availableData
                rest += data
                while let end = rest.firstIndex(of: 0x0A) {
                    said.put(String(decoding: rest[rest.startIndex..<end], as: UTF8.self), by: rank)
                    rest = rest[(end + 1)...]
                }
                guard !data.isEmpty else { break }
            }
            if !rest.isEmpty { said.put(String(decoding: rest, as: UTF8.self), by: rank) }
        }
    }

    /// What the processes have said.
    private final class Said: Sendable {
        private let speakers = Mutex<[String: Int]>([:])

        func put(_ line: String, by rank: Int) {
            speakers.withLock { speakers in
                guard speakers[line, default: rank] == rank else { return }
                speakers[line] = rank
                FileHandle.standardError.write(Data("[\(rank)] \(line)\n".utf8))
            }
        }
    }

    /// A port of this machine at which nothing listens now.
    private func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard descriptor >= 0, isBound else {
            throw Failure.run("no free port on this machine for the processes to meet")
        }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    /// Processes that have ended, in the order in which they did.
    private final class Ended: Sendable {
        typealias End = (rank: Int, status: Int32, bySignal: Bool)
        private let found = Mutex<(ranks: Set<Int>, queue: [End], isOverdue: Bool)>(([], [], false))
        private let signal = DispatchSemaphore(value: 0)

        func add(_ rank: Int, _ status: Int32, bySignal: Bool) {
            found.withLock {
                $0.ranks.insert(rank)
                $0.queue.append((rank, status, bySignal))
            }
            signal.signal()
        }

        func has(_ rank: Int) -> Bool { found.withLock { $0.ranks.contains(rank) } }

        func next() -> End {
            signal.wait()
            return found.withLock { $0.queue.removeFirst() }
        }

        /// Whether those that are left are ended by this program.
        var isOverdue: Bool {
            get { found.withLock { $0.isOverdue } }
            set { found.withLock { $0.isOverdue = newValue } }
        }
    }
}
