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
        values["MASTER_ADDR"] = "127.0.0.1"
        values["MASTER_PORT"] = "\(port)"
        if values["OMP_NUM_THREADS"] == nil {
            values["OMP_NUM_THREADS"] = "\(max(1, ProcessInfo.processInfo.activeProcessorCount / count))"
        }
        return values
    }

    /// Runs them all, hands on what they say with the number of each before it, and ends the others when one fails.
    /// - Returns: the exit status of the first that failed; that of the first process where none did.
    func run() throws -> Int32 {
        let port = try freePort()
        let program = Bundle.main.executablePath ?? CommandLine.arguments[0]
        var children: [Process] = []
        let ended = Ended()
        let said = Said()
        // Children are in this process's group: a terminal's signals reach them as well, others are handed on.
        let signals = [SIGINT, SIGTERM, SIGUSR1].map { signal in
            Glibc.signal(signal, SIG_IGN)
            return DispatchSource.makeSignalSource(signal: signal, queue: .global())
        }
        for rank in 0..<count {
            let child = Process()
            child.executableURL = URL(fileURLWithPath: program)
            child.arguments = arguments
            child.environment = environment(of: rank, port: port)
            Self.handOn(child, from: rank, said, results: rank == 0)
            child.terminationHandler = { child in
                ended.add(
                    rank, child.terminationReason == .exit ? child.terminationStatus : 128 + child.terminationStatus)
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
        for (source, number) in zip(signals, [SIGINT, SIGTERM, SIGUSR1]) {
            source.setEventHandler { for child in identifiers { kill(child, number) } }
            source.resume()
        }
        var first: Int32?
        for _ in 0..<count {
            let (rank, status) = ended.next()
            guard status != 0, first == nil else { continue }
            first = status
            if status > 128 { said.put("ended by signal \(status - 128)", by: rank) }
            // The others wait for it in vain; most of them notice by themselves.
            let rest = identifiers.indices.filter { $0 != rank }.map { identifiers[$0] }
            DispatchQueue.global().asyncAfter(deadline: .now() + Self.grace) {
                for child in rest { kill(child, SIGKILL) }
            }
        }
        for source in signals { source.cancel() }
        return first ?? 0
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
        private let found = Mutex<[(rank: Int, status: Int32)]>([])
        private let signal = DispatchSemaphore(value: 0)

        func add(_ rank: Int, _ status: Int32) {
            found.withLock { $0.append((rank, status)) }
            signal.signal()
        }

        func next() -> (rank: Int, status: Int32) {
            signal.wait()
            return found.withLock { $0.removeFirst() }
        }
    }
}
