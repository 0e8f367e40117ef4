import Cascade
import Failures
import JSON
import Torch

/// Loading a file of weights as it is: every tensor of every part, by its official name.
struct WeightLoading {
    let path: String
    /// Whether each tensor is summed too, so that every page of the file is read.
    var touches = false
    var threads: Int?

    /// Seconds from the path to the last tensor, and the peak of the process's own memory meanwhile.
    func run() throws -> JSON {
        let engine = try Engine.shared()
        if let threads { try engine.setThreads(threads) }
        // The engine is open before the clock starts, as the peer's is.
        _ = try Tensor([Float(1)]).sum()
        let memory = PeakMemory()
        memory.reset()
        let clock = ContinuousClock()
        var tensors: [Tensor] = []
        let seconds = try clock.measure {
            let checkpoint = try Checkpoint(path)
            guard !checkpoint.parts.isEmpty else {
                throw Failure.input("no layout of Stable Cascade", at: Failure.Place(path))
            }
            for part in checkpoint.parts {
                let file = try checkpoint.tensors(of: part)
                for entry in file.entries { tensors.append(try file.required(entry.name)) }
            }
            if touches { for tensor in tensors { _ = try tensor.sum().item() } }
        }
        return [
            "seconds": .number(Double(seconds.components.attoseconds) * 1e-18 + Double(seconds.components.seconds)),
            "peak_bytes": .integer(memory.bytes),
            "bytes": .integer(tensors.reduce(0) { $0 + $1.byteCount }),
            "tensors": .integer(tensors.count),
        ]
    }
}
