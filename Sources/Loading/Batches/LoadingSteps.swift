import Shards

/// A step of the stream on its way to a worker.
struct ReadStep: Sendable {
    /// A failure of the reader is one too, so that it comes in its turn.
    var step: Result<SampleStream.Step, any Error>
    /// Where the stream stood after the step.
    var position: StreamPosition
    /// What was lost since the step before.
    var lost: Drops

    /// Nil where the stream was stopped.
    init?(_ step: Result<SampleStream.Step?, any Error>, position: StreamPosition, lost: Drops) {
        switch step {
        case .success(nil): return nil
        case .success(let step?): self.step = .success(step)
        case .failure(let error): self.step = .failure(error)
        }
        self.position = position
        self.lost = lost
    }
}

/// A step of the stream with what was made of it.
struct PreparedStep: Sendable {
    enum Outcome: Sendable {
        case sample(SamplePreparation.Outcome, SampleTurn, isAgain: Bool)
        case endOfEpoch
    }

    var outcome: Outcome
    var position: StreamPosition
    var lost: Drops

    /// Bytes of the picture, or of what stands for it.
    var size: Int {
        if case .sample(.loaded(let sample), _, _) = outcome { sample.size } else { 0 }
    }
}

/// What a worker does.
struct StepPreparation: Sendable {
    let sample: SamplePreparation
    /// Decides what is left to chance.
    let seed: UInt64
    let memory: LoaderMemory?

    func callAsFunction(_ read: ReadStep) throws -> PreparedStep {
        let outcome: PreparedStep.Outcome
        switch try read.step.get() {
        case .endOfEpoch: outcome = .endOfEpoch
        case .sample(let streamed):
            let prepared = try sample(streamed.sample, streamed.turn, seed: seed, memory: memory)
            outcome = .sample(prepared, streamed.turn, isAgain: streamed.isAgain)
        }
        return PreparedStep(outcome: outcome, position: read.position, lost: read.lost)
    }
}
