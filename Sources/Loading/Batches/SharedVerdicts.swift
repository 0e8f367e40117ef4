import Failures

/// The other processes that make the same batches, as a loader knows them.
public struct LoadingPeers {
    let share: BatchShare
    let sum: ([Double]) throws -> [Double]

    /// - Parameters:
    ///   - share: which samples this process decodes.
    ///   - sum: adds up numbers over all processes, each of which gives as many. It is called by the thread that takes the
    ///     batches, in every process as often.
    public init(_ share: BatchShare, sum: @escaping ([Double]) throws -> [Double]) {
        (self.share, self.sum) = (share, sum)
    }
}

/// Tells the other processes what became of the samples that this one decoded, and hears what became of theirs.
///
/// Whether an image is broken shows only when it is decoded, and decides which samples the batches have. So samples are
/// held back until all that were assigned together are known everywhere: a message of some bytes for each batch.
struct SharedVerdicts {
    /// What is known of a sample, as a number other than 0.
    private enum Verdict: Int {
        case good = 1
        /// Good, its caption longer than what is read of one.
        case long
        case imageIsBroken, maskIsBroken, hasNoCondition

        init(_ outcome: SamplePreparation.Outcome<LoadedSample>) {
            self =
                switch outcome {
                case .of(let sample): sample.hasLongCaption ? .long : .good
                case .dropped(MaskReading.undecodable): .maskIsBroken
                case .dropped(ImageConditions.refused): .hasNoCondition
                case .dropped: .imageIsBroken
                }
        }

        /// What it says of a sample that another process has decoded.
        func outcome(of file: FittedSample) -> SamplePreparation.Outcome<LoadedSample> {
            switch self {
            case .good, .long: .of(LoadedSample(decodedElsewhere: file, hasLongCaption: self == .long))
            case .imageIsBroken: .dropped(BatchLoader.reasonFor(undecodable: file.image))
            case .maskIsBroken: .dropped(MaskReading.undecodable)
            case .hasNoCondition: .dropped(ImageConditions.refused)
            }
        }
    }

    /// Why a process has no samples to tell of.
    private enum Trouble: Double {
        case none, failure, cancellation
    }

    private let peers: LoadingPeers
    private let batchSize: Int
    private var held: [(step: PreparedStep, sample: PreparedSample)] = []
    /// How long the others were waited for, in all.
    private(set) var waited = Duration.zero

    init(_ peers: LoadingPeers, batchSize: Int) { (self.peers, self.batchSize) = (peers, batchSize) }

    /// - Returns: the steps whose samples are known everywhere, in their order.
    /// - Throws: why another process loads no more; a ``LoneFailure`` where the others can't be asked.
    mutating func take(_ step: PreparedStep) throws -> [PreparedStep] {
        guard case .sample(let sample, _, let after) = step.step else { return try settled() + [step] }
        held.append((step, sample))
        return after == nil && held.count < batchSize ? [] : try settled()
    }

    /// Tells the others that this process loads no more.
    mutating func fail(_ error: any Error) {
        // Whoever can't hear it notices that this process ends.
        _ = try? exchanged([], error is CancellationError ? .cancellation : .failure)
    }

    private mutating func settled() throws -> [PreparedStep] {
        guard !held.isEmpty else { return [] }
        let own = held.map { $0.sample.file == nil ? Verdict($0.sample.outcome).rawValue : 0 }
        let all = try exchanged(own.map(Double.init), .none)
        defer { held = [] }
        return try zip(held, all).map { held, number in
            guard let file = held.sample.file else { return held.step }
            guard let verdict = Verdict(rawValue: Int(number)) else {
                throw LoneFailure(error: Failure.run("no process has decoded the sample", at: .init(file.place)))
            }
            var (step, sample) = held
            sample.outcome = verdict.outcome(of: file)
            if case .sample(_, let isAgain, let after) = step.step {
                step.step = .sample(sample, isAgain: isAgain, after: after)
            }
            return step
        }
    }

    /// The sums over all processes of what each knows of the samples, in one message with whether it can go on.
    private mutating func exchanged(_ own: [Double], _ trouble: Trouble) throws -> [Double] {
        var numbers = own + [Double](repeating: 0, count: batchSize - own.count + peers.share.ranks)
        numbers[batchSize + peers.share.rank] = trouble.rawValue
        let began = ContinuousClock.now
        defer { waited += ContinuousClock.now - began }
        let sums: [Double]
        do { sums = try peers.sum(numbers) } catch { throw LoneFailure(error: error) }
        for (rank, said) in sums.dropFirst(batchSize).enumerated() where said != Trouble.none.rawValue {
            guard said == Trouble.failure.rawValue else { throw CancellationError() }
            throw Failure.run("process \(rank) can't load its samples", advice: "it says why")
        }
        return sums
    }
}

/// A failure that the other processes know nothing of.
struct LoneFailure: Error {
    let error: any Error
}
