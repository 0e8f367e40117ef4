import Failures
import Files
import Glibc
import JSON

/// What one update of a training measured.
public struct UpdateMetrics: Equatable, Sendable {
    /// Updates done in all, from 1.
    public var step: Int
    /// The smoothed loss.
    public var loss: Double
    public var rawLoss: Double
    public var gradNorm: Double
    /// The learning rate.
    public var lr: Double
    /// What the update took.
    public var seconds: Double
    public var samplesPerSecond: Double
    /// How much of `seconds` the update waited for its samples.
    public var dataSeconds: Double

    public init(
        step: Int, loss: Double, rawLoss: Double, gradNorm: Double, lr: Double, seconds: Double,
        samplesPerSecond: Double, dataSeconds: Double
    ) {
        self.step = step
        self.loss = loss
        self.rawLoss = rawLoss
        self.gradNorm = gradNorm
        self.lr = lr
        self.seconds = seconds
        self.samplesPerSecond = samplesPerSecond
        self.dataSeconds = dataSeconds
    }

    var json: JSON {
        [
            "step": .integer(Int64(step)), "loss": .number(loss), "raw_loss": .number(rawLoss),
            "grad_norm": .number(gradNorm), "lr": .number(lr), "seconds": .number(seconds),
            "samples_per_second": .number(samplesPerSecond), "data_seconds": .number(dataSeconds),
        ]
    }
}

/// `metrics.jsonl`: one JSON object a line for each update, on disk as soon as it is appended.
public final class MetricsLog {
    private let path: String
    private let descriptor: Int32

    /// Opens the file to append, and first cuts off what a resumed run will write again: lines past `step` and lines
    /// that are torn. Readers see the old file or the cut one, never one between.
    /// - Parameter step: The last update whose line stays; 0 for a run from the start.
    public init(path: String, resumeAfter step: Int) throws {
        self.path = path
        var facts = stat()
        if stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG {
            let old = try readFile(path)
            let kept = Self.lines(of: old, upTo: step)
            if kept != old { try writeAtomically(kept, to: path) }
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure(path) }
    }

    deinit { close(descriptor) }

    /// - Throws: Where the line cannot be written, such as on a full disk.
    public func append(_ metrics: UpdateMetrics) throws {
        var rest = Array((metrics.json.text() + "\n").utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure(path) }
            rest = rest.dropFirst(count)
        }
    }

    private static func lines(of bytes: [UInt8], upTo last: Int) -> [UInt8] {
        var kept: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0A) {
            let line = rest[...end]
            rest = rest[(end + 1)...]
            let metrics = try? line.withUnsafeBytes { try JSON.parse($0, file: "metrics.jsonl") }
            if let step = metrics?["step"]?.intValue, step <= last { kept += line }
        }
        return kept
    }

    private static func failure(_ path: String) -> Failure {
        SystemError.current.failure("can't write the file", path: path)
    }
}
