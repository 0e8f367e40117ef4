import Cascade
import Glibc
import Images
import JSON
import Loading
import Shards

/// Batches of shards as a training run gets them, and nothing done with them.
struct DataLoading {
    var paths: [String] = []
    var size = 768
    var batchSize = 4
    var workers = BatchLoader.defaultWorkers
    var samples = 1000
    var shuffleBuffer = 690
    /// The aspect ratios of the reference's configurations, each with its inverse.
    var ratios = ["1/1", "1/2", "1/3", "2/3", "3/4", "1/5", "2/5", "3/5", "4/5", "1/6", "5/6", "9/16"]
    /// Whether each batch becomes float planes [B, 3, H, W] too, as the network takes it.
    var makesFloats = false
    /// Whether JPEGs much larger than needed are decoded at a fraction of their size.
    var isScaled = true

    /// Seconds from the shards to the last batch, and the most memory that the process ever held.
    func run() throws -> JSON {
        let options = BatchLoader.Options(
            stream: .init(seed: 1, bufferSize: shuffleBuffer), batchSize: batchSize, workers: workers)
        let buckets = try AspectBuckets(
            size: size, ratios: ratios.map(AspectBuckets.ratio(parsing:)), step: EffNetEncoder.Configuration().stride)
        let shards = try resolveShards(paths, access: ShardAccess())
        var preparation = SamplePreparation(buckets: buckets)
        preparation.isScaled = isScaled
        let clock = ContinuousClock()
        let began = clock.now
        let loader = try BatchLoader(shards: shards, preparation: preparation, options: options)
        var (loaded, waited) = (0, 0.0)
        var floats: [Float] = []
        while loaded < samples {
            let batch = try loader.next()
            loaded += batch.samples.count
            waited += batch.secondsWaited
            if makesFloats { floats = Image.planes(of: batch.images) }  // [B, 3, H, W]
        }
        let time = (clock.now - began).components
        let seconds = Double(time.seconds) + Double(time.attoseconds) * 1e-18
        loader.stop()
        var drops = JSON.Object()
        for (reason, count) in loader.drops.samples.merging(loader.drops.broken, uniquingKeysWith: +) {
            drops[reason] = .integer(count)
        }
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return [
            "what": "data to batches, cascade-adapt", "samples_per_second": .number(Double(loaded) / seconds),
            "seconds": .number(seconds), "seconds_waited": .number(waited), "images": .integer(loaded),
            "peak_bytes": .integer(usage.ru_maxrss * 1024), "drops": .object(drops),
            "workers": .integer(workers), "floats": .integer(floats.count),
        ]
    }
}
