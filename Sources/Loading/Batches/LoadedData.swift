import Images

/// What a loader has handed out since it began.
public struct LoadedData: Sendable {
    public private(set) var samples = 0
    /// Pictures by the bucket they were brought into.
    public private(set) var buckets: [AspectBuckets.Bucket: Int] = [:]
    /// Pictures that were smaller than their bucket.
    public private(set) var enlarged = 0
    public private(set) var emptyCaptions = 0
    /// Of all captions.
    public private(set) var characters = 0
    /// The epoch of the sample that was read last, from 0.
    public private(set) var epoch = 0

    /// Nothing yet.
    public init() {}

    mutating func count(_ batch: PictureBatch) {
        for sample in batch.samples {
            samples += 1
            buckets[sample.fit.bucket, default: 0] += 1
            enlarged += sample.fit.enlargement > 1 ? 1 : 0
            emptyCaptions += sample.caption.isEmpty ? 1 : 0
            characters += sample.caption.count
        }
        epoch = batch.stateAfter.position.epoch
    }
}
