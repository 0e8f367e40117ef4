import Images

/// What is counted of captions beside how many and how long they are.
public struct CaptionCounting: Sendable {
    /// Whether a caption has more tokens than are read of one.
    public var isLong: @Sendable (String) -> Bool = { _ in false }
    /// What captions are searched for, such as tokens that a run learns.
    public var texts: [String] = []

    /// Counts nothing.
    public init() {}
}

/// What a loader has handed out since it began.
public struct LoadedData: Sendable {
    /// Samples in all batches so far; one that comes again in a later epoch counts again.
    public private(set) var samples = 0
    /// Images by the bucket they were brought into.
    public private(set) var buckets: [AspectBuckets.Bucket: Int] = [:]
    /// Images that were smaller than their bucket.
    public private(set) var enlarged = 0
    /// Samples whose caption has no character.
    public private(set) var emptyCaptions = 0
    /// Of all captions.
    public private(set) var characters = 0
    /// Captions with more tokens than are read.
    public private(set) var longCaptions = 0
    /// How many captions hold each of the texts that were looked for, where any does.
    public private(set) var found: [String: Int] = [:]
    /// The epoch of the sample that was read last, from 0.
    public private(set) var epoch = 0

    /// Nothing yet.
    public init() {}

    /// - Parameter texts: what captions are searched for.
    mutating func count(_ batch: ImageBatch, _ texts: [String]) {
        for sample in batch.samples {
            samples += 1
            buckets[sample.fit.bucket, default: 0] += 1
            enlarged += sample.fit.enlargement > 1 ? 1 : 0
            emptyCaptions += sample.caption.isEmpty ? 1 : 0
            characters += sample.caption.count
            longCaptions += sample.hasLongCaption ? 1 : 0
            for text in texts where isText(text, in: sample.caption) { found[text, default: 0] += 1 }
        }
        epoch = batch.stateAfter.position.epoch
    }
}
