import Files
import Glibc
import JSON

/// What one update of a training measured.
public struct UpdateMetrics: Equatable, Sendable {
    /// Updates done in all, from 1.
    public var step: Int
    /// The smoothed loss.
    public var loss: Double
    /// The loss of this update alone.
    public var rawLoss: Double
    /// The norm of all gradients together, before clipping.
    public var gradNorm: Double
    /// The learning rate.
    public var lr: Double
    /// What the update took.
    public var seconds: Double
    /// Of the whole update, waiting included.
    public var samplesPerSecond: Double
    /// How much of `seconds` the update waited for its samples.
    public var dataSeconds: Double

    /// - Parameters:
    ///   - step: updates done in all, from 1.
    ///   - loss: smoothed over updates.
    ///   - rawLoss: of this update alone.
    ///   - gradNorm: before clipping.
    ///   - lr: the learning rate.
    ///   - seconds: what the update took.
    ///   - samplesPerSecond: of the whole update.
    ///   - dataSeconds: how much of `seconds` the update waited for its samples.
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

    /// All but the step, in the order and under the names of `metrics.jsonl`.
    var scalars: [(name: String, value: Double)] {
        [
            ("loss", loss), ("raw_loss", rawLoss), ("grad_norm", gradNorm), ("lr", lr), ("seconds", seconds),
            ("samples_per_second", samplesPerSecond), ("data_seconds", dataSeconds),
        ]
    }
}

/// `metrics.jsonl`: one JSON object a line for each update, with the system as soon as it is appended.
public final class MetricsLog {
    private let file: AppendedFile

    /// Opens the file to append, and first cuts off what a resumed run will write again: lines past `step` and lines
    /// that are torn. Readers see the old file or the cut one, never one between.
    /// - Parameters:
    ///   - step: The last update whose line stays; 0 for a run from the start.
    ///   - visit: Is shown every line that stays.
    public init(path: String, resumeAfter step: Int, visit: (JSON) -> Void = { _ in }) throws {
        var facts = stat()
        if stat(path, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG {
            let old = try readFile(path)
            let kept = Self.lines(of: old, upTo: step, visit)
            if kept != old { try writeAtomically(kept, to: path) }
        }
        file = try AppendedFile(path)
    }

    /// - Parameters:
    ///   - measured: Further numbers for the update's line.
    ///   - samples: For the line where there are any.
    /// - Throws: Where the line cannot be written, such as on a full disk.
    public func append(
        _ metrics: UpdateMetrics, measured: [(name: String, value: Double)] = [], samples: [String] = []
    ) throws {
        var line = JSON.Object()
        line["step"] = .integer(metrics.step)
        for (name, value) in metrics.scalars + measured { line[name] = .number(value) }
        if !samples.isEmpty { line["samples"] = .array(samples.map(JSON.string)) }
        try file.append(Array((JSON.object(line).text() + "\n").utf8))
    }

    func sync() throws { try file.sync() }

    private static func lines(of bytes: [UInt8], upTo last: Int, _ visit: (JSON) -> Void) -> [UInt8] {
        var kept: [UInt8] = []
        var rest = bytes[...]
        while let end = rest.firstIndex(of: 0x0A) {
            let line = rest[...end]
            rest = rest[(end + 1)...]
            let metrics = try? line.withUnsafeBytes { try JSON.parse($0, file: "metrics.jsonl") }
            guard let metrics, let step = metrics["step"]?.intValue, step <= last else { continue }
            kept += line
            visit(metrics)
        }
        return kept
    }
}
