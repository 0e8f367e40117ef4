import Cascade
import Images
import JSON
import Shards

/// Images from tars to batches, on one thread: what decoding, resizing and cropping cost by themselves.
struct Images {
    /// Tars or folders, as `webdataset_path` takes them.
    let paths: [String]
    var size = 768
    var ratios: [Double] = [1]
    var batchSize = 4
    /// Whether a JPEG is decoded no finer than its bucket needs.
    var isScaled = false
    /// A folder where each fitted image is also written, by its key; for comparisons, not for timing.
    var output: String?

    /// Images a second from the first file to the last whole batch of [batch, 3, height, width] floats, and the peak
    /// of the process's own memory meanwhile. A last batch that is not full is not counted.
    func run() throws -> JSON {
        let buckets = try AspectBuckets(size: size, ratios: ratios, step: EffNetEncoder.Configuration().stride)
        let reader = ShardReader(shards: try resolveShards(paths, access: ShardAccess()))
        var waiting: [AspectBuckets.Bucket: [Image]] = [:]
        var (batches, undecodable, first) = (0, 0, Float(0))
        let memory = PeakMemory()
        memory.reset()
        let elapsed = try ContinuousClock().measure {
            while let sample = reader.next() {
                guard let bytes = sample.image else { continue }
                guard let (image, bucket) = try? fitted(bytes, sample.place, buckets) else {
                    undecodable += 1
                    continue
                }
                if let output { try image.write(to: "\(output)/\(sample.key).png") }
                waiting[bucket, default: []].append(image)
                guard let full = waiting[bucket], full.count == batchSize else { continue }
                waiting[bucket] = nil
                first += Image.planes(of: full)[0]
                batches += 1
            }
        }
        let seconds = Double(elapsed.components.attoseconds) * 1e-18 + Double(elapsed.components.seconds)
        return [
            "what": .string("images to batches, \(isScaled ? "scaled" : "full") decoding"),
            "images": .integer(batches * batchSize), "undecodable": .integer(undecodable),
            "seconds": .number(seconds), "images_per_second": .number(Double(batches * batchSize) / seconds),
            "peak_bytes": .integer(memory.bytes),
            "first_value": .number(Double(first) / Double(max(batches, 1))),
        ]
    }

    private func fitted(
        _ bytes: [UInt8], _ place: String, _ buckets: AspectBuckets
    ) throws -> (Image, AspectBuckets.Bucket) {
        if isScaled {
            let info = try Image.info(of: bytes, name: place)
            let fit = buckets.fit(width: info.width, height: info.height)
            return (try Image(decoding: bytes, name: place, for: fit).fitted(fit), fit.bucket)
        }
        let image = try Image(decoding: bytes, name: place)
        let fit = buckets.fit(width: image.width, height: image.height)
        return (image.fitted(fit), fit.bucket)
    }
}
