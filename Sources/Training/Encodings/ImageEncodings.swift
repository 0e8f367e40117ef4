import Cascade
import Failures
import Generation
import Loading
import Torch

/// What a stage is trained on of images: made by the frozen networks, or found where it was kept.
///
/// Each image is encoded by itself, so that what comes of it does not depend on the batch it first came in: a resumed
/// run then has the very numbers that the uninterrupted one had.
final class ImageEncodings {
    /// The images of a batch with what was made of them.
    struct Encoded {
        fileprivate var items: [Item]
        /// [B, c, h, w], float32.
        let latents: Tensor
    }

    fileprivate struct Item {
        /// [1, 3, H, W] in 0...1; nil where the loader found the encoding and decoded nothing.
        let pixels: Tensor?
        /// What tells the image, as it was cut, from every other of the data.
        let name: String
        /// What stands for it in the cache; nil without one.
        let key: String?
        var encoding: ImageEncoding
    }

    /// Latents [1, c, h, w] of an image [1, 3, H, W] in 0...1 on the run's device.
    private let encode: (Tensor) throws -> Tensor
    /// Embeds the images themselves; nil leaves their embeddings zeros.
    let tower: NetworkOnDemand<ImageEncoder>?
    let device: Device
    /// Of `cache_dir`.
    let cache: EncodingCache?
    private var kept: [String: ImageEncoding] = [:]
    private var room: Int

    /// - Parameters:
    ///   - memory: how many bytes of encodings to keep for later epochs.
    ///   - encode: latents [1, c, h, w] of an image [1, 3, H, W] in 0...1 on the device.
    init(
        tower: NetworkOnDemand<ImageEncoder>?, device: Device, memory: Int = 0, cache: EncodingCache? = nil,
        encode: @escaping (Tensor) throws -> Tensor
    ) {
        self.encode = encode
        self.tower = tower
        self.device = device
        self.cache = cache
        room = memory
    }

    /// Latents [B, c, h, w] of images [B, 3, H, W] in 0...1. One by one: Stage A takes more memory for an image than an
    /// update does.
    func latents(_ images: Tensor) throws -> Tensor {
        try withoutGradients {
            try .concatenated(
                (0..<images.size(0)).map { index in
                    try encode(images.sliced(0, index..<index + 1).to(device: device)).to(dtype: .float32)
                }, dimension: 0)
        }
    }

    /// What was made of a batch's images, now or earlier.
    /// - Parameter images: [n, 3, H, W] in 0...1, of the samples that the loader decoded; nil where it decoded none.
    func callAsFunction(_ batch: ImageBatch, _ images: Tensor?) throws -> Encoded {
        var decoded = 0
        let sources = try batch.samples.map { sample in
            var pixels: Tensor?
            var found: ImageEncoding?
            switch sample.content {
            case .image:
                pixels = try images?.sliced(0, decoded..<decoded + 1)
                decoded += 1
            case .prepared(let bytes):
                found = try ImageEncoding(bytes)
            case .elsewhere: break
            }
            // The numbers tell it from another sample of one name.
            let numbers = "\(sample.turn.place.shard):\(sample.turn.place.sample)"
            return (pixels: pixels, found: found, name: "\(sample.place) \(numbers) \(sample.fit)", key: sample.key)
        }
        let items = try sources.map { source in
            Item(
                pixels: source.pixels, name: source.name, key: source.key,
                encoding: try encoding(source.name, source.key, source.found, source.pixels))
        }
        return Encoded(
            items: items,
            latents: try .concatenated(items.map { try $0.encoding.latents.to(device: device) }, dimension: 0))
    }

    /// Embeddings [B, 1, c_clip_img], zeros but for some.
    func embeddings(_ encoded: Encoded, where isKept: [Bool]) throws -> Tensor? {
        guard let tower else { return nil }
        // Each by itself, as latents are, so that nothing depends on which of its neighbours keep theirs.
        let rows = try zip(encoded.items, isKept).map { item, isKept in
            isKept ? try (item.encoding.embedding ?? embed(item.pixels, item.name, tower)).to(device: device) : nil
        }
        guard let known = rows.lazy.compactMap(\.self).first else { return nil }
        let zeros = try Tensor.zeros(known.shape, device: device)
        return try .concatenated(rows.map { $0 ?? zeros }, dimension: 0)
    }

    /// - Parameters:
    ///   - found: what the loader found of it.
    ///   - pixels: nil only where it found something.
    private func encoding(
        _ name: String, _ key: String?, _ found: ImageEncoding?, _ pixels: Tensor?
    ) throws -> ImageEncoding {
        if let known = kept[name] { return known }
        if let found = try found ?? key.flatMap({ try cache?.folder.read($0).flatMap(ImageEncoding.init) }) {
            return keep(found, name)
        }
        guard let pixels else { throw Failure.run("an image is neither decoded nor encoded", at: .init(name)) }
        var made = ImageEncoding(latents: try latents(pixels))
        if let cache, let key {
            // Complete, so that no later run decodes the image for its embedding.
            made.embedding = try tower.map { try embed(pixels, name, $0) }
            cache.keep(key, try made.bytes())
        }
        return keep(made, name)
    }

    private func embed(_ pixels: Tensor?, _ name: String, _ tower: NetworkOnDemand<ImageEncoder>) throws -> Tensor {
        guard let pixels else { throw Failure.run("an image is neither decoded nor embedded", at: .init(name)) }
        return try withoutGradients { try tower()(pixels.to(device: device)).to(dtype: .float32) }
    }

    private func keep(_ encoding: ImageEncoding, _ name: String) -> ImageEncoding {
        if encoding.byteCount <= room, kept[name] == nil {
            room -= encoding.byteCount
            kept[name] = encoding
        }
        return encoding
    }
}
