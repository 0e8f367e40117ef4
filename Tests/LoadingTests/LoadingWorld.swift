import Files
import Images
import TestSupport

@testable import Loading
@testable import Shards

/// Shards of small images in several shapes, and loaders over them.
final class LoadingWorld {
    /// A sample as it is written; whatever is nil is left out.
    struct Entry {
        var image: [UInt8]?
        var caption: String?
        /// In the place of one of its own.
        var key: String?

        init(_ number: Int, width: Int = 40, height: Int = 40) throws {
            let colour = UInt8(truncatingIfNeeded: number * 11)
            image = try Image(width: width, height: height, colour: (colour, UInt8(number % 256), 7)).png()
            caption = "caption \(number)"
        }
    }

    let folder: ScratchFolder
    let shards: [Shard]
    /// Two shapes, upright and lying.
    let buckets: AspectBuckets

    /// - Parameter entries: the samples of each shard.
    init(_ entries: [[Entry]]) throws {
        let folder = try ScratchFolder()
        self.folder = folder
        buckets = try AspectBuckets(size: 48, ratios: [1, 0.5], step: 32)
        shards = try entries.enumerated().map { shard, entries in
            let path = "\(folder.path)/\(shard).tar"
            let file = try AtomicFile(at: path)
            let tar = try TarWriter(descriptor: file.descriptor, path: path)
            for (number, entry) in entries.enumerated() {
                let key = entry.key ?? "\(shard)-\(number)"
                if let image = entry.image { try tar.add("\(key).png", image) }
                if let caption = entry.caption { try tar.add("\(key).txt", Array(caption.utf8)) }
            }
            try tar.finish()
            try file.commit()
            return Shard(path: path)
        }
    }

    /// Four shards of good samples in three shapes, and between them all that can be wrong with one.
    static func mixed() throws -> LoadingWorld {
        var number = 0
        return try LoadingWorld(
            [9, 3, 14, 6].map { count in
                try (0..<count).map { _ in
                    number += 1
                    let sides = [(40, 40), (30, 60), (64, 33), (36, 36)][number % 4]
                    var entry = try Entry(number, width: sides.0, height: sides.1)
                    if number % 7 == 3 { entry.image?.removeLast(number % 2 == 0 ? 30 : 60) }
                    if number % 11 == 5 { entry.caption = nil }
                    return entry
                }
            })
    }

    func loader(
        batchSize: Int = 3, workers: Int = 2, buffer: Int = 5, bufferBytes: Int = 1 << 20, cacheBytes: Int = 0,
        patience: Duration? = nil, preparation: SamplePreparation? = nil, from state: LoaderState = LoaderState(),
        among peers: LoadingPeers? = nil
    ) throws -> BatchLoader {
        var options = BatchLoader.Options(
            stream: .init(seed: 3, bufferSize: buffer, bufferBytes: bufferBytes), batchSize: batchSize,
            workers: workers)
        options.cacheBytes = cacheBytes
        if let patience { (options.patience, options.isCancelled) = (patience, { true }) }
        return try BatchLoader(
            shards: shards, preparation: preparation ?? SamplePreparation(buckets: buckets), options: options,
            from: state, among: peers)
    }
}

/// What a batch has in common with an equal one.
struct BatchContent: Equatable {
    let turns: [SampleTurn]
    let captions: [String]
    let images: [Image]
    let state: LoaderState

    init(_ batch: ImageBatch) {
        turns = batch.samples.map(\.turn)
        captions = batch.captions
        images = batch.images
        state = batch.stateAfter
    }
}
