import Loading
import Optimization
import Torch

/// One update of what is trained: batches in, weights changed, and told how it went.
///
/// All random numbers of an update belong to its samples, and come from the seed and the update's number. So a run that
/// is resumed draws what the uninterrupted one would have drawn, and it does not matter how many micro batches a batch
/// is cut into.
struct Update {
    /// How an update went.
    struct Result {
        /// Counted from 1.
        let number: Int
        /// Mean of the samples, unweighted.
        let loss: Double
        /// Of all gradients together, before they are clipped.
        let gradientNorm: Double
        /// The learning rate.
        let rate: Double
        /// Whether it took some steps before it came to a gradient that is not finite: only the last checkpoint has weights
        /// from before it.
        let isSpoilt: Bool
        /// `SHARD/KEY` of every sample.
        let samples: [String]
        /// What the update took.
        let seconds: Double
        /// How much of `seconds` it waited for its samples.
        let secondsWaited: Double

        /// Whether it changed anything: its loss and its gradients' norm were finite.
        var isGood: Bool { loss.isFinite && gradientNorm.isFinite }
    }

    let run: RunConfiguration
    let seed: UInt64
    let clock: RunClock
    /// What the update is shared by; nil where this process makes it by itself.
    var shared: SharedUpdates?

    /// Makes the next update.
    ///
    /// One that fails on the way, such as by waiting for data in vain, leaves everything as it was. So does a bad one,
    /// but that it counts and its samples are passed. With steps within the backward pass a bad gradient, or a failure in
    /// that pass, leaves some tensors stepped; the bad one is then not counted yet.
    /// - Parameter next: the next batch of the data.
    func callAsFunction(_ state: inout TrainingState, next: () throws -> PictureBatch) throws -> Result {
        let began = clock.seconds()
        let (task, optimizer, number) = (state.task, state.optimizer, state.progress.updates + 1)
        let learned = task.learners.map(\.running)
        func forgetLosses() { for (learner, running) in zip(task.learners, learned) { learner.running = running } }
        let batch: PictureBatch
        // Of the step to come.
        let rate = try optimizer.effectiveRate(run.schedule(number))
        let made: (loss: Double, norm: Double)
        do {
            batch = try next()
            if let fused = state.fused {
                made = try pass(batch, number, state, steppedBy: fused)
            } else {
                made = try pass(batch, number, task, optimizer)
            }
        } catch {
            forgetLosses()
            try optimizer.clearGradients()
            throw error
        }
        let isGood = made.loss.isFinite && made.norm.isFinite
        if isGood {
            try state.average?.follow(update: number)
            if state.fused != nil { state.progress.gradientNorm = made.norm }
        } else {
            forgetLosses()
        }
        try optimizer.clearGradients()
        // The batch is passed either way.
        state.progress.loader = batch.stateAfter
        // Steps within the backward pass are not begun where the loss is no number.
        let isSpoilt = state.fused != nil && made.loss.isFinite && !made.norm.isFinite
        if !isSpoilt { state.progress.count(loss: made.loss, isGood: isGood) }
        return Result(
            number: number, loss: made.loss, gradientNorm: made.norm, rate: rate, isSpoilt: isSpoilt,
            samples: batch.places, seconds: clock.seconds() - began, secondsWaited: batch.secondsWaited)
    }

    /// Gradients of all samples first, then a step of all tensors by them, unless the update is bad.
    private func pass(
        _ batch: PictureBatch, _ number: Int, _ task: TrainingTask, _ optimizer: any Optimizer
    ) throws -> (loss: Double, norm: Double) {
        let parameters = task.groups.parameters
        // Parts of a gradient are added up in float32: bfloat16 would lose what is far smaller than their sum.
        let isRounded = parameters.contains { $0.tensor.dtype != .float32 }
        let isSummed = isRounded && (run.accumulation > 1 || shared != nil)
        // By place.
        var sums: [Int: Tensor] = [:]
        let loss = try accumulate(task, number, batch) {
            for (index, (_, tensor)) in parameters.enumerated() where isSummed {
                guard let gradient = try tensor.gradient() else { continue }
                if let sum = sums[index] {
                    try sum.accumulate(gradient)
                } else {
                    sums[index] = try gradient.to(dtype: .float32)
                }
                try tensor.setGradient(nil)
            }
        }
        // What no part held has a gradient of zero, as it would in a graph over the whole batch.
        for (index, (_, tensor)) in parameters.enumerated() {
            func zeros(_ dtype: DType) throws -> Tensor {
                try .zeros(tensor.shape, dtype: dtype, device: tensor.device)
            }
            if isSummed {
                if sums[index] == nil { sums[index] = try zeros(.float32) }
            } else if try tensor.gradient() == nil {
                try tensor.setGradient(zeros(tensor.dtype))
            }
        }
        if let shared {
            try shared.sum(
                isSummed
                    ? parameters.indices.compactMap { sums[$0] } : parameters.compactMap { try $0.tensor.gradient() })
        }
        // From here on loss and gradients are those of all samples of the update.
        let clipping = GradientClipping(limit: run.gradientClip)
        let norm =
            try isSummed
            ? Tensor.norm(of: parameters.indices.compactMap { sums[$0] }) : task.groups.gradientNorm()
        guard loss.isFinite, norm.isFinite else { return (loss, norm) }
        if isRounded {
            try optimizer.stepEach(step(number, scale: clipping.scale(of: norm), parameters.count)) { index in
                try isSummed ? sums.removeValue(forKey: index) : parameters[index].tensor.gradient()
            }
        } else {
            try optimizer.step(learningRate: run.schedule(number), gradientScale: clipping.scale(of: norm))
        }
        return (loss, norm)
    }

    /// Steps each tensor within the backward pass, by gradients that are clipped as long as the last good update's were.
    ///
    /// Where it fails on the way, or a gradient is not finite, some tensors have been stepped.
    private func pass(
        _ batch: PictureBatch, _ number: Int, _ state: TrainingState, steppedBy fused: FusedSteps
    ) throws -> (loss: Double, norm: Double) {
        let draws = Draws(
            seed: seed, stream: RandomStream.update, update: number, places: 0..<batch.samples.count)
        let made = try state.task.loss(batch, draws)
        let loss = try learn(state.task, [made], of: batch.samples.count)
        guard loss.isFinite else { return (loss, .nan) }
        let clipping = GradientClipping(limit: run.gradientClip)
        let scale = state.progress.gradientNorm.map(clipping.scale) ?? 1
        let norm = try fused(step(number, scale: scale, state.task.groups.parameters.count)) {
            if made.weighted.requiresGrad { try made.weighted.backward() }
        }
        return (loss, norm)
    }

    private func step(_ number: Int, scale: Double, _ tensors: Int) -> TensorStep {
        TensorStep(
            learningRate: run.schedule(number), gradientScale: scale,
            rounding: Draws(seed: seed, stream: RandomStream.rounding, update: number, places: 0..<tensors))
    }

    /// Adds up the gradients of a batch, micro batch by micro batch.
    /// - Parameter addUp: takes the gradients of each.
    /// - Returns: the mean loss of its samples.
    private func accumulate(
        _ task: TrainingTask, _ number: Int, _ batch: PictureBatch, addUp: () throws -> Void
    ) throws -> Double {
        let count = batch.samples.count
        let draws = Draws(seed: seed, stream: RandomStream.update, update: number, places: 0..<count)
        var losses: [TrainingLoss] = []
        let share = shared?.share(of: count) ?? 0..<count
        for part in 0..<run.accumulation {
            let first = share.lowerBound + share.count * part / run.accumulation
            let range = first..<share.lowerBound + share.count * (part + 1) / run.accumulation
            guard !range.isEmpty else { continue }
            let loss = try task.loss(batch.part(range), draws[range])
            // A part without any of what is trained, such as captions without a token to learn, adds nothing.
            if loss.weighted.requiresGrad {
                try (loss.weighted * (Double(range.count) / Double(count))).backward()
            }
            try addUp()
            losses.append(try loss.withoutGraph())
        }
        return try learn(task, losses, of: count)
    }

    /// Tells the losses to what learns of them.
    /// - Parameter count: samples of the update, in all processes.
    /// - Returns: their mean over all samples.
    private func learn(_ task: TrainingTask, _ losses: [TrainingLoss], of count: Int) throws -> Double {
        var perSample = try Tensor.concatenated(losses.map(\.perSample), dimension: 0)
        var logSNR = try Tensor.concatenated(losses.map(\.logSNR), dimension: 0)
        if let shared {
            perSample = try shared.all(perSample, of: count)
            logSNR = try shared.all(logSNR, of: count)
        }
        for learner in task.learners { try learner.update(logSNR: logSNR, losses: perSample) }
        return try perSample.values(as: Double.self).reduce(0, +) / Double(perSample.count)
    }
}
