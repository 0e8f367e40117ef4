import Failures
import Files
import Images
import JSON
import Shards
import Torch

/// What is known of an image beside its pixels.
struct ImageLabel: Hashable {
    let subject: String
    let background: String
    let caption: String
}

/// Images of one size in memory, a byte for each channel of a pixel, with what is known of them.
struct ImageSet {
    /// In pixels.
    private(set) var side = 0
    private(set) var labels: [ImageLabel] = []
    /// [count, side, side, 3].
    private var bytes: [UInt8] = []

    var count: Int { labels.count }

    /// The images of tars, in their order.
    /// - Throws: a failure of the input that names the tar or the image that is not as `data/make.py` makes them.
    init(tars: [String]) throws {
        let reader = ShardReader(shards: tars.map(Shard.init(path:)), outages: .end)
        while let sample = reader.next() {
            let place = Failure.Place(sample.place)
            guard let encoded = sample.image else {
                throw Failure.input("a sample has no image", at: place, got: sample.absence)
            }
            try append(Image(decoding: encoded, name: sample.place), Self.label(of: sample, place), at: place)
        }
        guard reader.drops.isEmpty else {
            throw Failure.input(
                "the data can't be read whole",
                at: tars.first.map { .init(tars.count == 1 ? $0 : parentFolder(of: $0)) },
                got: reader.drops.description, advice: "remove what is damaged and make the data again")
        }
        guard count > 0 else {
            throw Failure.input("there is no image in the data", at: tars.first.map { .init($0) })
        }
    }

    private mutating func append(_ image: Image, _ label: ImageLabel, at place: Failure.Place) throws {
        if labels.isEmpty { side = image.width }
        guard image.width == side, image.height == side else {
            throw Failure.input(
                "an image is of another size", at: place, expected: "\(side) x \(side) pixels, as those before",
                got: "\(image.width) x \(image.height)")
        }
        bytes += image.pixels
        labels.append(label)
    }

    private static func label(of sample: Sample, _ place: Failure.Place) throws -> ImageLabel {
        let fields = try sample.json.map { try JSON.parse($0, file: sample.place, as: .python) }
        guard let subject = fields?["subject"]?.stringValue, let background = fields?["background"]?.stringValue,
            let text = sample.members["txt"], let caption = String(validating: text, as: UTF8.self)
        else {
            throw Failure.input(
                "a sample does not say what it shows", at: place,
                expected: "a caption in txt, `subject` and `background` in json",
                advice: "make the data with examples/miniature/data/make.py")
        }
        return ImageLabel(subject: subject, background: background, caption: caption)
    }

    /// Where a square of an image begins.
    struct Corner {
        let image: Int
        let top: Int
        let left: Int
    }

    /// Squares of images, [count, 3, side, side] float32 in 0...1, with a pixel's channels side by side in memory.
    func squares(_ corners: [Corner], side square: Int) throws -> Tensor {
        let row = square * 3
        let cut = [UInt8](unsafeUninitializedCapacity: corners.count * square * row) { cut, written in
            for corner in corners {
                for line in 0..<square {
                    let start = ((corner.image * side + corner.top + line) * side + corner.left) * 3
                    for place in start..<start + row {
                        cut[written] = bytes[place]
                        written += 1
                    }
                }
            }
        }
        return try Tensor(cut, shape: [corners.count, square, square, 3]).permuted([0, 3, 1, 2])
            .to(dtype: .float32) / 255
    }

    /// Whole images, [count, 3, side, side].
    func images(_ indices: some Collection<Int>) throws -> Tensor {
        try squares(indices.map { Corner(image: $0, top: 0, left: 0) }, side: side)
    }
}
