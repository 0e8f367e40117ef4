import Shards

/// A step on its way to a worker, in the order in which batches are made.
struct ReadStep: Sendable {
    enum Step: Sendable {
        /// A sample to decode.
        /// - Parameters:
        ///   - place: among the samples that were assigned together.
        ///   - isAgain: whether it was handed out before the state at which the loader began.
        ///   - after: where the loader stands after the last of the samples that were assigned together, but for what was
        ///     decoded and is not used; nil for the others.
        case sample(FittedSample, place: Int, isAgain: Bool, after: LoaderState?)
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
        if case .success(.sample(let sample, _, _, _)) = step { sample.size } else { 0 }
    }
}

/// A sample with what became of it.
struct PreparedSample: Sendable {
    /// Among the samples that were assigned together.
    let place: Int
    /// As far as this process knows.
    var outcome: SamplePreparation.Outcome<LoadedSample>
    /// What another process decodes, so that this one can where it has to; nil where this one has.
    let file: FittedSample?

    /// Bytes of the image, or of what stands for it.
    var size: Int {
        let loaded = if case .of(let sample) = outcome { sample.size } else { 0 }
        return loaded + (file?.fileSize ?? 0)
    }
}

/// A step with what was made of it.
struct PreparedStep: Sendable {
    enum Step: Sendable {
        case sample(PreparedSample, isAgain: Bool, after: LoaderState?)
        case endOfEpoch(assigned: Int, waiting: Int)
    }

    var step: Step
    var lost: DroppedSamples

    /// Bytes of the image, or of what stands for it.
    var size: Int {
        if case .sample(let sample, _, _) = step { sample.size } else { 0 }
    }
}

/// What a worker does.
struct StepPreparation: Sendable {
    let sample: SamplePreparation
    let memory: LoaderMemory?
    let captions: CaptionCounting
    let batchSize: Int
    /// Nil where this process decodes all samples.
    let share: BatchShare?

    func callAsFunction(_ read: ReadStep) throws -> PreparedStep {
        let step: PreparedStep.Step
        switch try read.step.get() {
        case .endOfEpoch(let assigned, let waiting): step = .endOfEpoch(assigned: assigned, waiting: waiting)
        case .sample(let fitted, let place, let isAgain, let after):
            let isOurs = share.map { $0.owner(of: place, of: batchSize) == $0.rank } ?? true
            let prepared =
                isOurs
                ? PreparedSample(place: place, outcome: try self(fitted), file: nil)
                : PreparedSample(place: place, outcome: .of(LoadedSample(decodedElsewhere: fitted)), file: fitted)
            step = .sample(prepared, isAgain: isAgain, after: after)
        }
        return PreparedStep(step: step, lost: read.lost)
    }

    /// A sample of this process's.
    func callAsFunction(_ fitted: FittedSample) throws -> SamplePreparation.Outcome<LoadedSample> {
        let outcome = try sample(fitted, memory: memory)
        guard case .of(var loaded) = outcome else { return outcome }
        loaded.hasLongCaption = captions.isLong(loaded.caption)
        return .of(loaded)
    }
}
