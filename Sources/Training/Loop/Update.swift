import Failures
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
        /// In how many parts the batch was taken, where memory did not hold the parts of the update before; else nil.
        var newParts: Int?

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
    ///
    /// Where memory does not hold a part of the batch, it is taken again in parts of half the size, and so are later ones.
    /// - Parameter next: the next batch of the data.
    func callAsFunction(_ state: inout TrainingState, next: () throws -> ImageBatch) throws -> Result {
        let began = clock.seconds()
        let (task, optimizer, number) = (state.task, state.optimizer, state.progress.updates + 1)
        let (learned, parts) = (task.learners.map(\.running), state.parts)
        func forgetLosses() { for (learner, running) in zip(task.learners, learned) { learner.running = running } }
        let batch: ImageBatch
        // Of the step to come.
        let rate = try optimizer.effectiveRate(run.schedule(number))
        let made: (loss: Double, norm: Double)
        do {
            batch = try next()
            if let fused = state.fused {
                do {
                    made = try pass(batch, number, state, steppedBy: fused)
                } catch var failure as Failure where failure.lacksMemory {
                    failure.advice = "`fused_backward` takes a batch as one micro-batch: make batch_size smaller"
                    throw failure
                }
            } else {
                let samples = batch.samples.count
                let own = shared?.share(of: samples).count ?? samples
                let gradients = try fitting(&state, own) { parts in
                    try self.gradients(of: batch, number, task, parts: parts)
                } before: {
                    forgetLosses()
                    try optimizer.clearGradients()
                }
                made = try stepped(by: gradients, of: samples, number, task, optimizer)
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
            samples: batch.places, seconds: clock.seconds() - began, secondsWaited: batch.secondsWaited,
            newParts: state.parts == parts ? nil : state.parts)
    }

    /// What `body` makes of a batch in parts; where there is no memory for that, of twice as many, and so on.
    /// - Parameter before: makes everything as it was, for another try.
    /// - Throws: what `body` does, also where a part is one sample and still too large.
    private func fitting<Made>(
        _ state: inout TrainingState, _ samples: Int, _ body: (_ parts: Int) throws -> Made, before: () throws -> Void
    ) throws -> Made {
        while true {
            let parts = min(state.parts, samples)
            do {
                return try body(parts)
            } catch var failure as Failure where failure.lacksMemory {
                guard parts < samples else {
                    failure.advice = "a single sample does not fit; `cascade-adapt plan CFG` says what would"
                    throw failure
                }
                try before()
                state.progress.parts = min(2 * parts, samples)
                Engine.releaseMemory()
            }
        }
    }

    /// What this process' samples of an update come to.
    private final class Gradients {
        var losses: [TrainingLoss] = []
        /// By place, in float32, where they are not those that the tensors hold. Each is dropped once it is used.
        var sums: [Int: Tensor]?
    }

    /// Adds up the gradients of this process' samples, part by part. It waits for no other process, and may be made again.
    private func gradients(
        of batch: ImageBatch, _ number: Int, _ task: TrainingTask, parts: Int
    ) throws -> Gradients {
        let parameters = task.groups.parameters
        let gradients = Gradients()
        // Parts of a gradient are added up in float32: bfloat16 would lose what is far smaller than their sum.
        if parts > 1 || shared != nil, parameters.contains(where: { $0.tensor.dtype != .float32 }) {
            gradients.sums = [:]
        }
        let count = batch.samples.count
        let draws = Draws(seed: seed, stream: RandomStream.update, update: number, places: 0..<count)
        let share = shared?.share(of: count) ?? 0..<count
        for part in 0..<parts {
            let first = share.lowerBound + share.count * part / parts
            let range = first..<share.lowerBound + share.count * (part + 1) / parts
            guard !range.isEmpty else { continue }
            let loss = try task.loss(batch.part(range), draws[range])
            // A part without any of what is trained, such as captions without a token to learn, adds nothing.
            if loss.weighted.requiresGrad {
                try (loss.weighted * (Double(range.count) / Double(count))).backward()
            }
            for (index, (_, tensor)) in parameters.enumerated() where gradients.sums != nil {
                guard let gradient = try tensor.gradient() else { continue }
                if let sum = gradients.sums?[index] {
                    try sum.accumulate(gradient)
                } else {
                    gradients.sums?[index] = try gradient.to(dtype: .float32)
                }
                try tensor.setGradient(nil)
            }
            gradients.losses.append(try loss.withoutGraph())
        }
        return gradients
    }

    /// A step of all tensors by the gradients of all samples, unless the update is bad.
    private func stepped(
        by gradients: Gradients, of samples: Int, _ number: Int, _ task: TrainingTask, _ optimizer: any Optimizer
    ) throws -> (loss: Double, norm: Double) {
        let parameters = task.groups.parameters
        let loss = try learn(task, gradients.losses, of: samples)
        // What no part held has a gradient of zero, as it would in a graph over the whole batch.
        for (index, (_, tensor)) in parameters.enumerated() {
            func zeros(_ dtype: DType) throws -> Tensor {
                try .zeros(tensor.shape, dtype: dtype, device: tensor.device)
            }
            if let sums = gradients.sums {
                if sums[index] == nil { gradients.sums?[index] = try zeros(.float32) }
            } else if try tensor.gradient() == nil {
                try tensor.setGradient(zeros(tensor.dtype))
            }
        }
        func all() throws -> [Tensor] {
            if let sums = gradients.sums { return parameters.indices.compactMap { sums[$0] } }
            return try parameters.compactMap { try $0.tensor.gradient() }
        }
        try shared?.sum(all())
        // From here on loss and gradients are those of all samples of the update.
        let clipping = GradientClipping(limit: run.gradientClip)
        let norm = try gradients.sums == nil ? task.groups.gradientNorm() : Tensor.norm(of: all())
        guard loss.isFinite, norm.isFinite else { return (loss, norm) }
        if parameters.contains(where: { $0.tensor.dtype != .float32 }) {
            try optimizer.stepEach(step(number, scale: clipping.scale(of: norm), parameters.count)) { index in
                try gradients.sums == nil
                    ? parameters[index].tensor.gradient() : gradients.sums?.removeValue(forKey: index)
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
        _ batch: ImageBatch, _ number: Int, _ state: TrainingState, steppedBy fused: FusedSteps
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

    /// Tells the losses to what learns of them.
    /// - Parameter count: samples of the update, in all processes.
    /// - Returns: their mean over all samples.
    private func learn(_ task: TrainingTask, _ losses: [TrainingLoss], of count: Int) throws -> Double {
        var perSample = try Tensor.concatenated(losses.map(\.perSample), dimension: 0)
        var logSNR = try Tensor.concatenated(losses.map(\.logSNR), dimension: 0)
        if let shared {
            let all = try shared.all([perSample, logSNR], of: count)
            (perSample, logSNR) = (all[0], all[1])
        }
        for learner in task.learners { try learner.update(logSNR: logSNR, losses: perSample) }
        return try perSample.values(as: Double.self).reduce(0, +) / Double(perSample.count)
    }
}
