import Optimization
import Torch
import Weights

/// What of a run goes into its checkpoints where processes share what is trained: each has its parts, and all make the whole
/// of every tensor together as it is written.
extension TrainingState {
    /// How the optimizer's state is put together; nil where each process has all of it.
    private var sharedState: [SharedState]? { task.parts.map(optimizer.state) }

    /// The optimizer's state of everything that is trained, to be written; nil where each process has all of it.
    var optimizerStream: TensorStream? {
        guard let sharing = task.sharing, let sharedState else { return nil }
        let own = Dictionary(optimizer.state.map { ($0.name, $0.tensor) }) { first, _ in first }
        return sharing.stream(
            ofParts: sharedState.map {
                (TensorEntry(name: $0.name, dtype: $0.dtype, shape: $0.shape), $0.part, own[$0.name])
            })
    }

    /// What the optimizer's state has in a checkpoint.
    var optimizerShapes: [(name: String, shape: [Int])] {
        sharedState?.map { ($0.name, $0.shape) } ?? optimizer.state.map { ($0.name, $0.tensor.shape) }
    }

    /// What a running mean has in a checkpoint.
    var averageShapes: [(name: String, shape: [Int])] {
        guard task.sharing != nil else { return average?.means.map { ($0.name, $0.tensor.shape) } ?? [] }
        return task.restored.map { ($0.name, $0.tensor.shape) }
    }

    /// What this process keeps of the optimizer's state, by the names of its tensors: the whole or its part of each.
    var ownState: (_ name: String, _ value: Tensor) throws -> Tensor {
        let numbers = Dictionary((sharedState ?? []).map { ($0.name, $0.part) }) { first, _ in first }
        return { try Self.part($1, numbers[$0] ?? nil) }
    }

    /// Some of a tensor's numbers, one after the other; nil takes it as it is.
    static func part(_ value: Tensor, _ numbers: Range<Int>?) throws -> Tensor {
        try numbers.map { try value.reshaped([-1]).sliced(0, $0) } ?? value
    }

    /// Does what a save asks of a process that does not write.
    func takePart(withOptimizer: Bool) throws {
        guard let sharing = task.sharing else { return }
        try sharing.stream(of: task.restored).pass()
        if let average { try sharing.stream(ofAverage: average.means, of: task.restored).pass() }
        if withOptimizer { try optimizerStream?.pass() }
    }
}
