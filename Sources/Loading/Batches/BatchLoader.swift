import CMemory
import Failures
import Files
import Glibc
import Shards

/// Makes batches of shards beside the train loop: one thread reads samples, several decode and fit their images, and
/// the batches are the same however many there are and whatever they take.
///
/// It belongs to the thread that takes the batches; its own threads end with ``stop()``, or with the loader.
public final class BatchLoader {
    /// What decides the batches, and what they may take of memory and processors.
    public struct Options: Sendable {
        /// The order of the samples, and which of them are left out.
        public var stream: SampleStream.Options
        /// Samples of a batch, of all micro batches together.
        public var batchSize: Int
        /// Threads that decode.
        public var workers: Int
        /// How many bytes of fitted images, and how many of their conditions, to keep in memory for later epochs.
        public var cacheBytes = 0
        /// How many bytes samples may have on their way from the reader to a bucket, encoded and decoded.
        public var bytesAhead = 256 << 20
        /// What is counted of the captions that are handed out.
        public var captions = CaptionCounting()
        /// Called once the loader is to end: whatever the shards' client waits for, it need not any more.
        public var willStop: @Sendable () -> Void = {}
        /// Asked at each sample of a batch that has been waited for longer than ``patience``; true gives the batch up.
        public var isCancelled: @Sendable () -> Bool = { false }
        /// A batch that comes sooner is always taken.
        public var patience = Duration.seconds(5)

        /// - Parameters:
        ///   - stream: the order of the samples.
        ///   - batchSize: samples of a batch, of all micro batches together.
        ///   - workers: threads that decode; they change no batch.
        public init(stream: SampleStream.Options, batchSize: Int, workers: Int = BatchLoader.defaultWorkers) {
            precondition(batchSize > 0 && workers > 0, "a batch has samples, and somebody decodes them")
            self.stream = stream
            self.batchSize = batchSize
            self.workers = workers
        }

        /// What images may take at once while they are decoded, where one takes so many bytes at most.
        public func decodingBytes(largest: Int) -> Int { max(largest, min(workers * largest, DecodingMemory.limit)) }

        /// How many samples may be on their way at once: two batches, and what is being decoded.
        public var samplesAhead: Int { 2 * batchSize + workers }
    }

    /// Half the processors, eight at most: the train loop wants the others.
    public static var defaultWorkers: Int { min(8, max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2)) }

    /// The reason for which a sample is left out whose image is broken.
    static func reasonFor(undecodable image: [UInt8]?) -> String {
        image.flatMap { MistakenContent($0) }.map { "image is \($0.description)" } ?? "image can't be decoded"
    }

    private typealias Work = OrderedWork<ReadStep, PreparedStep>

    private let work: Work
    private var queues: BucketQueues
    private var threads: [WorkThread] = []
    /// Why no more batches come; nil while they do.
    public private(set) var failure: Failure?
    private let willStop: @Sendable () -> Void
    private let isCancelled: @Sendable () -> Bool
    private let patience: Duration
    private let texts: [String]
    /// What is agreed on with other processes; nil where this one makes the batches by itself.
    private var verdicts: SharedVerdicts?

    /// What was handed out.
    public private(set) var loaded = LoadedData()
    /// What was lost up to the last batch, by reason.
    public var drops: DroppedSamples { queues.drops }
    /// How many images came with ICC profiles, which are ignored.
    public var colourProfiles: Int { queues.colourProfiles }

    /// - Parameters:
    ///   - state: where to go on.
    ///   - peers: other processes that make the same batches. Each reads all samples and decodes its share of them.
    /// - Throws: a failure of the input where the state is of other data or another order.
    public init(
        shards: [Shard], preparation: SamplePreparation, options: Options, from state: LoaderState = LoaderState(),
        among peers: LoadingPeers? = nil
    ) throws {
        Self.keepMemory
        // The stream goes over to the reader's thread whole.
        nonisolated(unsafe) let stream = try SampleStream(
            shards: shards, options: options.stream, at: state.position, again: state.decoded + state.waiting)
        let preparing = StepPreparation(
            sample: preparation, memory: options.cacheBytes > 0 ? LoaderMemory(limit: options.cacheBytes) : nil,
            captions: options.captions, batchSize: options.batchSize, share: peers?.share)
        queues = BucketQueues(preparing, place: shards.first?.name, from: state)
        verdicts = peers.map { SharedVerdicts($0, batchSize: options.batchSize) }
        willStop = options.willStop
        isCancelled = options.isCancelled
        patience = options.patience
        texts = options.captions.texts
        let work = Work(.init(jobs: options.samplesAhead, bytes: options.bytesAhead))
        self.work = work
        let assignment = BatchAssignment(
            batchSize: options.batchSize, preparation, seed: options.stream.seed, from: state)
        threads.append(try WorkThread { Self.read(stream, into: work, assignment) })
        for _ in 1...options.workers {
            threads.append(
                try WorkThread {
                    while let (number, step) = work.take() {
                        let result = Result { try preparing(step) }
                        work.finish(number, result, bytes: (try? result.get().size) ?? 0)
                    }
                })
        }
    }

    /// Images are decoded into blocks of megabytes that are freed soon after. By itself glibc hands such memory back
    /// at once, and taking it anew costs as much as decoding.
    private static let keepMemory: Void = cascade_memory_keep(64 << 20)

    deinit { stop() }

    /// The next full batch of one bucket.
    ///
    /// - Throws: a failure of the input where an epoch has no sample of use, or the data is not what it was; it stays,
    ///   so that asking again can't wait for ever. `CancellationError` where nobody waits for the batch any more. Of
    ///   several processes all throw then, but where they can't tell each other: that is no ``failure`` of the loader's.
    public func next() throws -> ImageBatch {
        if let failure { throw failure }
        let clock = ContinuousClock()
        let began = clock.now
        do {
            let forOthers = verdicts?.waited ?? .zero
            var ready = try queues.next()
            while ready == nil, let steps = try nextSteps(givenUp: { clock.now - began >= patience && isCancelled() }) {
                for step in steps { ready = try queues.take(step) ?? ready }
            }
            guard var batch = ready else { throw stopped }
            batch.secondsForOthers = ((verdicts?.waited ?? .zero) - forOthers).inSeconds
            batch.secondsWaited = (clock.now - began).inSeconds - batch.secondsForOthers
            loaded.count(batch, texts)
            return batch
        } catch let cancellation as CancellationError {
            failure = stopped
            throw cancellation
        } catch let lone as LoneFailure {
            failure = stopped
            throw lone.error
        } catch {
            let failure = error as? Failure ?? .run("the data can't be loaded", got: "\(error)")
            self.failure = failure
            throw failure
        }
    }

    private var stopped: Failure { .run("the loader of the data has been stopped") }

    /// The next steps, once all processes know what their samples came to; nil once stopped.
    private func nextSteps(givenUp isGivenUp: () -> Bool) throws -> [PreparedStep]? {
        let next: PreparedStep
        do {
            guard let step = try work.next() else { return nil }
            if isGivenUp() { throw CancellationError() }
            next = step
        } catch {
            verdicts?.fail(error)
            throw error
        }
        return try verdicts?.take(next) ?? [next]
    }

    /// Ends the loader's threads and waits for them: no longer than one sample takes.
    public func stop() {
        work.close()
        willStop()
        for thread in threads { thread.join() }
        threads = []
    }

    /// What the reader's thread does until it is stopped.
    private static func read(_ stream: SampleStream, into work: Work, _ assignment: BatchAssignment) {
        var assignment = assignment
        var lost = DroppedSamples()
        /// - Returns: false where there is nothing more to read.
        func put(_ step: Result<ReadStep.Step, any Error>) -> Bool {
            let read = ReadStep(step: step, lost: lost)
            lost = DroppedSamples()
            return work.put(read, bytes: read.size)
        }
        while true {
            let step = Result { try stream.next(isStopped: { !work.isOpen }) }
            lost.add(stream.takeDrops())
            switch step {
            case .success(nil): return
            case .failure(let error):
                _ = put(.failure(error))
                return
            case .success(let step?):
                for next in assignment.steps(after: step, position: stream.position, lost: &lost) {
                    guard put(.success(next)) else { return }
                }
            }
        }
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
