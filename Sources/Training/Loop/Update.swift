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

    /// Makes the next update.
    ///
    /// One that fails on the way, such as by waiting for data in vain, leaves everything as it was. So does a bad one,
    /// but that it counts and its samples are passed.
    /// - Parameter next: the next batch of the data.
    func callAsFunction(_ state: inout TrainingState, next: () throws -> PictureBatch) throws -> Result {
        let began = clock.seconds()
        let (task, optimizer, number) = (state.task, state.optimizer, state.progress.updates + 1)
        let learned = task.learners.map(\.running)
        func forgetLosses() { for (learner, running) in zip(task.learners, learned) { learner.running = running } }
        let batch: PictureBatch
        let loss: Double
        do {
            batch = try next()
            loss = try accumulate(task, number, batch)
            // What no part held has a gradient of zero, as it would in a graph over the whole batch.
            for (_, tensor) in task.groups.flatMap(\.parameters) where try tensor.gradient() == nil {
                try tensor.setGradient(.zeros(tensor.shape, dtype: tensor.dtype, device: tensor.device))
            }
        } catch {
            forgetLosses()
            try optimizer.clearGradients()
            throw error
        }
        // From here on loss and gradients are those of all samples of the update.
        let (norm, scale) = try GradientClipping(limit: run.gradientClip)(task.groups)
        let isGood = loss.isFinite && norm.isFinite
        let rate = try optimizer.effectiveRate(run.schedule(number))
        if isGood {
            try optimizer.step(learningRate: run.schedule(number), gradientScale: scale)
            try state.average?.follow(update: number)
        } else {
            forgetLosses()
        }
        try optimizer.clearGradients()
        state.progress.count(loss: loss, isGood: isGood)
        state.progress.loader = batch.stateAfter
        return Result(
            number: number, loss: loss, gradientNorm: norm, rate: rate, samples: batch.places,
            seconds: clock.seconds() - began, secondsWaited: batch.secondsWaited)
    }

    /// Adds up the gradients of a batch, micro batch by micro batch.
    /// - Returns: the mean loss of its samples.
    private func accumulate(_ task: TrainingTask, _ number: Int, _ batch: PictureBatch) throws -> Double {
        let count = batch.samples.count
        let draws = Draws(seed: seed, stream: RandomStream.update, update: number, places: 0..<count)
        var (losses, levels): ([Tensor], [Tensor]) = ([], [])
        for part in 0..<run.accumulation {
            let range = count * part / run.accumulation..<count * (part + 1) / run.accumulation
            let loss = try task.loss(batch.part(range), draws[range])
            // A part without any of what is trained, such as captions without a token to learn, adds nothing.
            if loss.weighted.requiresGrad {
                try (loss.weighted * (Double(range.count) / Double(count))).backward()
            }
            losses.append(loss.perSample)
            levels.append(loss.logSNR)
        }
        let perSample = try Tensor.concatenated(losses, dimension: 0)
        let logSNR = try Tensor.concatenated(levels, dimension: 0)
        for learner in task.learners { try learner.update(logSNR: logSNR, losses: perSample) }
        return try perSample.values(as: Double.self).reduce(0, +) / Double(count)
    }
}
