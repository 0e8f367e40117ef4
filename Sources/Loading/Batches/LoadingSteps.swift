import Shards

/// A step on its way to a worker, in the order in which batches are made.
struct ReadStep: Sendable {
    enum Step: Sendable {
        /// A sample to decode.
        /// - Parameters:
        ///   - isAgain: whether it was handed out before the state at which the loader began.
        ///   - after: where the loader stands after the last of the samples that were assigned together, but for what was
        ///     decoded and is not used; nil for the others.
        case sample(FittedSample, isAgain: Bool, after: LoaderState?)
        /// An epoch has been read.
        /// - Parameters:
        ///   - assigned: how many of its samples went into buckets.
        ///   - waiting: how many wait there, of whatever epoch.
        case endOfEpoch(assigned: Int, waiting: Int)
    }

    /// A failure of the reader is one too, so that it comes in its turn.
    var step: Result<Step, any Error>
    /// What was lost since the step before.
    var lost = DroppedSamples()

    /// What the step and its result may take at once.
    var size: Int {
        if case .success(.sample(let sample, _, _)) = step { sample.size } else { 0 }
    }
}

/// A step with what was made of it.
struct PreparedStep: Sendable {
    enum Step: Sendable {
        case sample(SamplePreparation.Outcome<LoadedSample>, isAgain: Bool, after: LoaderState?)
        case endOfEpoch(assigned: Int, waiting: Int)
    }

    var step: Step
    var lost: DroppedSamples

    /// Bytes of the image, or of what stands for it.
    var size: Int {
        if case .sample(.of(let sample), _, _) = step { sample.size } else { 0 }
    }
}

/// What a worker does.
struct StepPreparation: Sendable {
    let sample: SamplePreparation
    let memory: LoaderMemory?

    func callAsFunction(_ read: ReadStep) throws -> PreparedStep {
        let step: PreparedStep.Step
        switch try read.step.get() {
        case .endOfEpoch(let assigned, let waiting): step = .endOfEpoch(assigned: assigned, waiting: waiting)
        case .sample(let fitted, let isAgain, let after):
            step = .sample(try sample(fitted, memory: memory), isAgain: isAgain, after: after)
        }
        return PreparedStep(step: step, lost: read.lost)
    }
}
