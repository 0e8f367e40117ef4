import Torch
import Weights

/// What of a run goes into its checkpoints where processes share what is trained: each has its parts, and all make the whole
/// of every tensor together as it is written.
extension TrainingState {
    /// The parameter that a tensor of AdamW's state belongs to, which is called after it.
    static func parameter(of name: String) -> String {
        name.firstIndex(of: ".").map { String(name[name.index(after: $0)...]) } ?? name
    }

    /// The optimizer's state of everything that is trained, to be written; nil where each process has all of it.
    var optimizerStream: TensorStream? {
        guard let sharing = task.sharing else { return nil }
        let own = Dictionary(optimizer.state.map { ($0.name, $0.tensor) }) { first, _ in first }
        return sharing.stream(
            ofParts: optimizerNames.map { (Self.parameter(of: $0), $0, own[$0]) })
    }

    /// The names of the optimizer's state of everything that is trained.
    private var optimizerNames: [String] {
        task.restored.flatMap { ["exp_avg.\($0.name)", "exp_avg_sq.\($0.name)"] }
    }

    /// What the optimizer's state has in a checkpoint.
    var optimizerShapes: [(name: String, shape: [Int])] {
        guard task.sharing != nil else { return optimizer.state.map { ($0.name, $0.tensor.shape) } }
        return task.restored.flatMap {
            [("exp_avg.\($0.name)", $0.tensor.shape), ("exp_avg_sq.\($0.name)", $0.tensor.shape)]
        }
    }

    /// What a running mean has in a checkpoint.
    var averageShapes: [(name: String, shape: [Int])] {
        guard task.sharing != nil else { return average?.means.map { ($0.name, $0.tensor.shape) } ?? [] }
        return task.restored.map { ($0.name, $0.tensor.shape) }
    }

    /// What this process keeps of a tensor that is as large as a parameter.
    func own(_ value: Tensor?, _ parameter: String) throws -> Tensor? {
        guard let sharing = task.sharing, let value else { return value }
        return try sharing.part(of: parameter, in: value)
    }

    /// Does what a save asks of a process that does not write.
    func takePart(withOptimizer: Bool) throws {
        guard let sharing = task.sharing else { return }
        try sharing.stream(of: task.restored).pass()
        if let average { try sharing.stream(ofAverage: average.means, of: task.restored).pass() }
        if withOptimizer { try optimizerStream?.pass() }
    }
}
