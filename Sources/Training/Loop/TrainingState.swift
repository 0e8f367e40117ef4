import Optimization
import Torch

/// All that updates change: what is trained, the optimizer's state, the running mean and the progress.
struct TrainingState {
    let task: TrainingTask
    let optimizer: any Optimizer
    /// Takes each step within the backward pass; nil where steps follow it.
    let fused: FusedSteps?
    /// Adds up gradients with the other processes within the backward pass; nil where that follows it.
    let sums: GradientSums?
    /// nil where the run keeps none.
    let average: AveragedWeights?
    var progress = TrainingProgress()
    /// What the configuration says of the parts that batches are taken in.
    private let accumulation: Int

    /// In how many parts batches are taken. A run that goes on keeps those that it found out, so that it computes what it
    /// would have without a stop.
    var parts: Int { max(accumulation, fused == nil ? progress.parts ?? 1 : 1) }

    /// The state before the first update.
    /// - Parameter shared: the processes that share the updates.
    init(_ task: TrainingTask, _ run: RunConfiguration, _ shared: SharedUpdates? = nil) throws {
        self.task = task
        optimizer = try run.optimizer.make(task.groups, among: task.parts)
        fused =
            try run.isFused
            ? FusedSteps(
                optimizer, arrivals: task.arrivals, sum: shared.map { shared in { try shared.sum([$0]) } }) : nil
        sums =
            try run.isFused
            ? nil : shared?.sumsInPass(of: task.groups.parameters.map { ($0.name, $0.tensor) }, arrivals: task.arrivals)
        accumulation = run.accumulation
        if run.partsAreFound { progress.parts = run.accumulation }
        average = try run.average.map { try AveragedWeights(of: task.groups.parameters, $0) }
    }

    /// What is trained.
    var trained: [Tensor] { task.groups.parameters.map(\.tensor) }

    /// The name of a trained parameter with values that are not finite; nil where there is none.
    func notFinite(_ shared: SharedUpdates?) throws -> String? {
        let own = try ownNotFinite()
        guard task.sharing != nil, let shared, try shared.any(own != nil) else { return own }
        return own ?? "what another process holds"
    }

    private func ownNotFinite() throws -> String? {
        try task.groups.lazy.flatMap(\.parameters).first { try !$0.tensor.isAllFinite() }?.name
    }
}
