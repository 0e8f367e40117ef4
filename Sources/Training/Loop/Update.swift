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
        /// How much of `seconds` it waited for its samples; of several processes the one that waited for longest.
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
        var waited = 0.0
        func learn(_ losses: [TrainingLoss], of batch: ImageBatch) throws -> Double {
            let timing = ProcessTimes.Timing(
                samples: batch.own.count,
                seconds: shared == nil ? 0 : clock.seconds() - began - batch.secondsForOthers,
                waited: batch.secondsWaited, bytes: try Engine.shared().tensorBytes.most)
            let (loss, timings) = try self.learn(task, losses, of: batch, timing)
            waited = timings.map(\.waited).max() ?? 0
            return loss
        }
        do {
            batch = try next()
            if let fused = state.fused {
                do {
                    made = try pass(batch, number, state, steppedBy: fused) { try learn($0, of: batch) }
                } catch var failure as Failure where failure.lacksMemory {
                    failure.advice = "`fused_backward` takes a batch as one micro-batch: make batch_size smaller"
                    throw failure
                }
            } else {
                let (whole, sums) = (state.parts, state.sums)
                sums?.begin()
                let gradients = try fitting(&state, batch.own.count) { parts in
                    try self.gradients(of: batch, number, task, parts: parts, of: whole, summedBy: sums)
                } before: {
                    forgetLosses()
                    try optimizer.clearGradients()
                }
                if let sums { try gradients.hold(sums.finish(), for: task.groups.parameters.map(\.tensor)) }
                made = try stepped(by: gradients, number, task, optimizer) { try learn($0, of: batch) }
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
            samples: batch.places, seconds: clock.seconds() - began, secondsWaited: waited,
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
                if shared?.passTogether == true {
                    failure.advice =
                        "processes that share a base cannot take a part again by themselves: set grad_accum_steps to "
                        + "\(2 * parts) or more"
                    throw failure
                }
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

        /// Whether they are those of all processes already.
        private(set) var isSummed = false

        /// Holds the sums over all processes in place of its own.
        func hold(_ sums: [Int: Tensor], for tensors: [Tensor]) throws {
            isSummed = true
            self.sums = sums
            guard tensors.allSatisfy({ $0.dtype == .float32 }) else { return }
            for (index, sum) in sums { try tensors[index].setGradient(sum) }
            self.sums = nil
        }

        /// Takes up what a backward pass has left on a tensor.
        func take(_ index: Int, from tensor: Tensor) throws {
            guard let gradient = try tensor.gradient() else { return }
            if let sum = sums?[index] {
                try sum.accumulate(gradient)
            } else {
                sums?[index] = try gradient.to(dtype: .float32)
            }
            try tensor.setGradient(nil)
        }
    }

    /// Adds up the gradients of this process' samples, part by part. Where processes share no network it waits for none of
    /// them, and may be made again.
    /// - Parameters:
    ///   - all: the parts that a batch is taken in, of which this process may have fewer.
    ///   - summing: adds them up with the other processes' while the last pass goes on.
    private func gradients(
        of batch: ImageBatch, _ number: Int, _ task: TrainingTask, parts: Int, of all: Int,
        summedBy summing: GradientSums?
    ) throws -> Gradients {
        let parameters = task.groups.parameters
        let gradients = Gradients()
        // Parts of a gradient are added up in float32: bfloat16 would lose what is far smaller than their sum.
        if summing != nil || (parts > 1 || shared != nil) && parameters.contains(where: { $0.tensor.dtype != .float32 })
        {
            gradients.sums = [:]
        }
        let count = batch.samples.count
        let draws = Draws(seed: seed, stream: RandomStream.update, update: number, places: 0..<count)
        let own = batch.own
        // Others have more samples, and need this one's part of the network for them.
        try task.sharing?.clearGradients()
        for _ in 0..<(shared?.idlePasses(of: count, parts: all) ?? 0) {
            let one = own.prefix(1)
            func pass() throws {
                let loss = try task.loss(batch.part(one), draws[one])
                if loss.weighted.requiresGrad { try loss.weighted.backward() }
            }
            try task.sharing?.idly(pass) ?? pass()
            for (_, tensor) in parameters { try tensor.setGradient(nil) }
        }
        for part in 0..<parts {
            let places = own[own.count * part / parts..<own.count * (part + 1) / parts]
            guard !places.isEmpty else { continue }
            let loss = try task.loss(batch.part(places), draws[places])
            func backward() throws {
                // A part without any of what is trained, such as captions without a token to learn, adds nothing.
                guard loss.weighted.requiresGrad else { return }
                try (loss.weighted * (Double(places.count) / Double(count))).backward()
            }
            if let summing, part == parts - 1 {
                try summing.pass(
                    { index in
                        try gradients.take(index, from: parameters[index].tensor)
                        return gradients.sums?.removeValue(forKey: index)
                    }, backward: backward)
            } else {
                try backward()
            }
            if gradients.sums != nil {
                for (index, (_, tensor)) in parameters.enumerated() { try gradients.take(index, from: tensor) }
            }
            gradients.losses.append(try loss.withoutGraph())
        }
        if let sharing = task.sharing {
            for (index, (name, tensor)) in parameters.enumerated() {
                let sum = try sharing.gradient(of: name)
                if gradients.sums == nil { try tensor.setGradient(sum) } else { gradients.sums?[index] = sum }
            }
        }
        return gradients
    }

    /// A step of all tensors by the gradients of all samples, unless the update is bad.
    /// - Parameter learn: takes in the losses of this process' samples, and gives the mean of all.
    private func stepped(
        by gradients: Gradients, _ number: Int, _ task: TrainingTask, _ optimizer: any Optimizer,
        learn: ([TrainingLoss]) throws -> Double
    ) throws -> (loss: Double, norm: Double) {
        let parameters = task.groups.parameters
        let loss = try learn(gradients.losses)
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
        if task.sharing == nil, !gradients.isSummed { try shared?.sum(all()) }
        // From here on loss and gradients are those of all samples of the update.
        let clipping = GradientClipping(limit: run.gradientClip)
        var norm = try gradients.sums == nil ? task.groups.gradientNorm() : Tensor.norm(of: all())
        if task.sharing != nil, let shared { norm = try shared.norm(norm) }
        guard loss.isFinite, norm.isFinite else { return (loss, norm) }
        if parameters.contains(where: { $0.tensor.dtype != .float32 }) {
            try optimizer.stepEach(step(number, scale: clipping.scale(of: norm), task)) { index in
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
        _ batch: ImageBatch, _ number: Int, _ state: TrainingState, steppedBy fused: FusedSteps,
        learn: ([TrainingLoss]) throws -> Double
    ) throws -> (loss: Double, norm: Double) {
        let count = batch.samples.count
        let draws = Draws(seed: seed, stream: RandomStream.update, update: number, places: 0..<count)
        let own = batch.own
        let made = try state.task.loss(batch.part(own), draws[own])
        let loss = try learn([made])
        guard loss.isFinite else { return (loss, .nan) }
        let clipping = GradientClipping(limit: run.gradientClip)
        let scale = state.progress.gradientNorm.map(clipping.scale) ?? 1
        let norm = try fused(step(number, scale: scale, state.task)) {
            guard made.weighted.requiresGrad else { return }
            try (own.count == count ? made.weighted : made.weighted * (Double(own.count) / Double(count)))
                .backward()
        }
        return (loss, norm)
    }

    private func step(_ number: Int, scale: Double, _ task: TrainingTask) -> TensorStep {
        let tensors = task.parts?.wholes.count ?? task.groups.parameters.count
        return TensorStep(
            learningRate: run.schedule(number), gradientScale: scale,
            rounding: Draws(seed: seed, stream: RandomStream.rounding, update: number, places: 0..<tensors),
            among: task.parts)
    }

    /// Tells the losses to what learns of them.
    /// - Parameters:
    ///   - batch: all samples of the update.
    ///   - timing: of this process's share.
    /// - Returns: their mean over all samples, and how long each process took.
    private func learn(
        _ task: TrainingTask, _ losses: [TrainingLoss], of batch: ImageBatch, _ timing: ProcessTimes.Timing
    ) throws -> (loss: Double, timings: [ProcessTimes.Timing]) {
        var timings = [timing]
        var perSample = try Tensor.concatenated(losses.map(\.perSample), dimension: 0)
        var logSNR = try Tensor.concatenated(losses.map(\.logSNR), dimension: 0)
        if let shared {
            let all = try shared.all([perSample, logSNR], of: batch, timing)
            (perSample, logSNR, timings) = (all.numbers[0], all.numbers[1], all.timings)
        }
        for learner in task.learners { try learner.update(logSNR: logSNR, losses: perSample) }
        return (try perSample.values(as: Double.self).reduce(0, +) / Double(perSample.count), timings)
    }
}
