import Foundation
import Images
import Shards
import Synchronization

/// Looks at every sample of a dataset as a run's loader will, on all processors.
public struct DatasetSurvey: Sendable {
    /// What makes a sample one to train on.
    public var reading: SampleReading
    /// Images with a shorter side are left out; nil takes all.
    public var minImageSize: Int?
    /// The buckets that images are counted into; nil asks for no counts.
    public var buckets: AspectBuckets?
    /// How many images are decoded at most to see whether they can be; nil decodes all. An image takes about a
    /// hundred times as long to decode as to read. Those that are not decoded still have their headers read.
    public var decodeLimit: Int?
    /// How many tokens a caption makes, with start and end.
    public var countTokens: (@Sendable (String) -> Int)?
    /// What captions are searched for, such as tokens that a run learns.
    public var texts: [String] = []
    /// Whether JPEGs much larger than their buckets are decoded at a fraction of their size in training.
    public var isScaled = false
    /// Called now and then, from any thread, with how many samples were looked at so far, and how many shards read.
    public var progress: (@Sendable (_ samples: Int, _ shards: Int) -> Void)?

    /// - Parameters:
    ///   - reading: which samples are used.
    ///   - decodeLimit: images that are decoded at most; nil decodes all.
    public init(reading: SampleReading, decodeLimit: Int? = nil) {
        self.reading = reading
        self.decodeLimit = decodeLimit
    }

    /// Reads the shards.
    /// - Parameter sheet: takes the images that are shown of the data.
    public func report(on shards: [Shard], sheet: ContactSheet? = nil) -> DatasetReport {
        let threads = max(1, ProcessInfo.processInfo.activeProcessorCount)
        // Of a limit each shard gets its share, and one image at least; 0 means none at all.
        let share = decodeLimit.map { $0 == 0 ? 0 : max(1, $0 / max(1, shards.count)) } ?? .max
        let queue = SampleQueue(shards, lanes: threads, reading: reading, decodesPerShard: share)
        let done = Atomic<Int>(0)
        let total = Mutex(DatasetReport())
        let memory = DecodingMemory()
        DispatchQueue.concurrentPerform(iterations: threads) { thread in
            var report = DatasetReport()
            while let queued = queue.next(for: thread) {
                look(at: queued, sheet, memory, &report)
                let count = done.add(1, ordering: .relaxed).newValue
                if count % 64 == 0 { progress?(count, queue.shardsRead) }
            }
            total.withLock { $0.add(report) }
        }
        var report = queue.report
        report.add(total.withLock(\.self))
        return report
    }

    private func look(
        at queued: QueuedSample, _ sheet: ContactSheet?, _ memory: DecodingMemory, _ report: inout DatasetReport
    ) {
        let sample = queued.sample
        func drop(_ reason: String) { report.drop(reason, at: queued.place, called: sample.place) }
        if let reason = queued.reasonToDrop { return drop(reason) }
        guard let bytes = sample.image, let info = try? Image.info(of: bytes) else {
            return drop(BatchLoader.reasonFor(undecodable: sample.image))
        }
        let size = ImageSize(width: info.width, height: info.height)
        if let minImageSize, min(size.width, size.height) < minImageSize { return drop(SamplePreparation.tooSmall) }
        let isShown = sheet?.wants(queued.place) ?? false
        var image: Image?
        if queued.isDecoded || isShown {
            image = memory.with(bytes: info.decodedBytes()) { try? Image(decoding: bytes) }
        }
        if queued.isDecoded {
            report.decoded += 1
            if image == nil { return drop(BatchLoader.reasonFor(undecodable: bytes)) }
        }
        if queued.isDecoded, let masks = reading.masks {
            let mask = (try? masks.bytes(of: sample)).flatMap { bytes in try? Mask(decoding: bytes, name: sample.place)
            }
            if mask == nil { return drop(MaskReading.undecodable) }
        }
        let caption = reading.caption(of: sample, draw: 1) ?? ""
        report.bytes += sample.members.values.reduce(0) { $0 + $1.count }
        report.formats[info.format, default: 0] += 1
        report.sizes.add(size)
        if info.hasColourProfile { report.colourProfiles += 1 }
        report.captions.add(caption, countTokens: countTokens, lookingFor: texts)
        let fit = buckets?.fit(width: size.width, height: size.height)
        let target = fit.map { (width: $0.resizedWidth, height: $0.resizedHeight) }
        report.largestDecoding = max(report.largestDecoding, info.decodedBytes(covering: isScaled ? target : nil))
        guard let fit else { return }
        report.buckets[fit.bucket, default: 0] += 1
        if size.width < fit.resizedWidth || size.height < fit.resizedHeight { report.enlarged += 1 }
        if isShown, let image { sheet?.add(image, fitted: fit, of: sample, caption: caption, at: queued.place) }
    }
}
