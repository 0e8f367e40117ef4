import Loading
import Optimization
import Torch

/// One update of what is trained: batches in, weights changed, and told how it went.
///
/// All random numbers of an update come from the seed and its number, so a run that is resumed draws what the
/// uninterrupted one would have drawn.
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

    /// What the micro batches of an update come to, beside the gradients that the parameters carry.
    private struct Accumulated {
        var loss = 0.0
        var secondsWaited = 0.0
        var samples: [String] = []
        /// Where the data goes on afterwards.
        var loader: LoaderState
    }

    let run: RunConfiguration
    let seed: UInt64
    let clock: RunClock

    /// Makes the next update.
    ///
    /// One that fails on the way, such as by waiting for data in vain, leaves everything as it was. So does a bad one,
    /// but that it counts and its samples are passed.
    /// - Parameter next: the next micro batch of the data.
    func callAsFunction(_ state: inout TrainingState, next: () throws -> PictureBatch) throws -> Result {
        let began = clock.seconds()
        let (task, optimizer, number) = (state.task, state.optimizer, state.progress.updates + 1)
        let learned = task.learners.map(\.running)
        func forgetLosses() { for (learner, running) in zip(task.learners, learned) { learner.running = running } }
        let sum: Accumulated
        do {
            sum = try accumulate(task, number, from: state.progress.loader, next)
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
        let isGood = sum.loss.isFinite && norm.isFinite
        let rate = try optimizer.effectiveRate(run.schedule(number))
        if isGood {
            try optimizer.step(learningRate: run.schedule(number), gradientScale: scale)
            try state.average?.follow(update: number)
        } else {
            forgetLosses()
        }
        try optimizer.clearGradients()
        state.progress.count(loss: sum.loss, isGood: isGood)
        state.progress.loader = sum.loader
        return Result(
            number: number, loss: sum.loss, gradientNorm: norm, rate: rate, samples: sum.samples,
            seconds: clock.seconds() - began, secondsWaited: sum.secondsWaited)
    }

    /// Adds up the gradients of an update's micro batches.
    private func accumulate(
        _ task: TrainingTask, _ number: Int, from loader: LoaderState, _ next: () throws -> PictureBatch
    ) throws -> Accumulated {
        var sum = Accumulated(loader: loader)
        for part in 0..<run.accumulation {
            let batch = try next()
            sum.secondsWaited += batch.secondsWaited
            sum.samples += batch.places
            let generator = try Generator(
                seed: seed, stream: RandomStream.update, update: (number - 1) * run.accumulation + part)
            let loss = try task.loss(batch, generator)
            // A part without any of what is trained, such as captions without a token to learn, adds nothing.
            if loss.weighted.requiresGrad { try (loss.weighted * (1 / Double(run.accumulation))).backward() }
            for learner in task.learners { try learner.update(logSNR: loss.logSNR, losses: loss.perSample) }
            sum.loss += try loss.perSample.mean().item() / Double(run.accumulation)
            sum.loader = batch.stateAfter
        }
        return sum
    }
}
