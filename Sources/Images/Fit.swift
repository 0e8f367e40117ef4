/// Which part of an image stays where it is larger than its bucket along one side.
public enum CropMode: String, CaseIterable, Sendable {
    /// The middle, as torchvision's `center_crop`.
    case centre
    /// Any part, each offset as likely as another, as torchvision's `RandomCrop`.
    case random
    /// The part with the most to see: `Image.subjectOffset`, which chance may move.
    case smart
}

extension AspectBuckets {
    /// What is left to choose once the buckets are there.
    public struct Choice: Hashable, Sendable {
        /// Where an image that is longer than its bucket is cut.
        public var crop: CropMode
        /// The chance, 0...1, that an image goes to any of the buckets, each as likely, instead of the nearest (the
        /// reference's `bucketeer_random_ratio`).
        public var randomBucketRatio: Double
        /// The chance, 0...1, that a smart cut is moved (the reference's `randomize_p`).
        public var shiftChance = 0.0
        /// By how much of the image's sides at most (the reference's `randomize_q`).
        public var shiftReach = 0.0

        /// - Parameters:
        ///   - crop: where an image is cut; the middle by default.
        ///   - randomBucketRatio: the chance, 0...1, of any bucket instead of the nearest.
        public init(crop: CropMode = .centre, randomBucketRatio: Double = 0) {
            self.crop = crop
            self.randomBucketRatio = randomBucketRatio
        }
    }

    /// How an image is brought into a bucket: resized to cover it, then cut. It says all that happens to the pixels,
    /// so that its description can stand in a cache's key.
    public struct Fit: Hashable, Sendable, CustomStringConvertible {
        /// The size after the cut.
        public let bucket: Bucket
        /// Before the cut, in pixels; at least the bucket's.
        public let resizedWidth: Int
        /// Before the cut, in pixels; at least the bucket's.
        public let resizedHeight: Int
        /// Where the cut begins; the middle where `isSmart`.
        public let cropX: Int
        /// Where the cut begins; the middle where `isSmart`.
        public let cropY: Int
        /// Whether the cut is laid where the image has the most to see, which its pixels decide.
        public let isSmart: Bool
        /// By how much of the image's sides it is then moved, in 1/1000: right and down.
        public let shift: Shift
        /// How many times longer the sides become; below 1 for an image larger than its bucket.
        public let enlargement: Double

        /// The same with its cut laid where an image has the most to see, where that decides.
        public func settled(by image: Image) -> Fit {
            guard isSmart else { return self }
            let (x, y) = image.subjectOffset(of: self)
            return Fit(
                bucket: bucket, resizedWidth: resizedWidth, resizedHeight: resizedHeight, cropX: x, cropY: y,
                isSmart: false, shift: Shift(), enlargement: enlargement)
        }

        /// Width x height resized to, then width x height + x + y of the cut: `1024x768 768x768+128+0`.
        public var description: String {
            let cut = isSmart ? " smart\(shift)" : "+\(cropX)+\(cropY)"
            return "\(resizedWidth)x\(resizedHeight) \(bucket.width)x\(bucket.height)\(cut)"
        }
    }

    /// How a smart cut is moved, in 1/1000 of the image's sides.
    public struct Shift: Hashable, Sendable, CustomStringConvertible {
        /// To the right; below 0 to the left.
        public var x = 0
        /// Down; below 0 up.
        public var y = 0

        /// `+20-35`, or nothing where the cut stays.
        public var description: String { x == 0 && y == 0 ? "" : "\(x < 0 ? "" : "+")\(x)\(y < 0 ? "" : "+")\(y)" }
    }

    /// The nearest bucket for an image, and the way into it: cut from the middle.
    public func fit(width: Int, height: Int) -> Fit {
        fit(width: width, height: height, nearest(toWidth: width, height: height)) { $0 }
    }

    /// A bucket for an image and the way into it, as `choice` has it. Chance draws from `generator`, and only where it
    /// is asked for: for the bucket, then for the cut's x and y, or for whether a smart one moves, and how far.
    public func fit(
        width: Int, height: Int, _ choice: Choice, using generator: inout some RandomNumberGenerator
    ) -> Fit {
        var bucket = nearest(toWidth: width, height: height)
        if choice.randomBucketRatio > 0, Double.random(in: 0..<1, using: &generator) < choice.randomBucketRatio {
            bucket = buckets[Int.random(in: buckets.indices, using: &generator)]
        }
        let shift = choice.crop == .smart ? Self.shift(choice, using: &generator) : nil
        return fit(width: width, height: height, bucket, smart: shift) { centre in
            guard choice.crop == .random else { return centre }
            return Offset(
                x: Int.random(in: 0...centre.freeX, using: &generator), freeX: centre.freeX,
                y: Int.random(in: 0...centre.freeY, using: &generator), freeY: centre.freeY)
        }
    }

    private static func shift(_ choice: Choice, using generator: inout some RandomNumberGenerator) -> Shift {
        guard choice.shiftChance > 0, Double.random(in: 0..<1, using: &generator) < choice.shiftChance else {
            return Shift()
        }
        let reach = Int((choice.shiftReach * 1000).rounded())
        return Shift(
            x: Int.random(in: -reach...reach, using: &generator), y: Int.random(in: -reach...reach, using: &generator))
    }

    private func nearest(toWidth width: Int, height: Int) -> Bucket {
        precondition(width > 0 && height > 0, "an image has pixels")
        let ratio = Double(width) / Double(height)
        func distance(_ bucket: Bucket) -> Double { max(bucket.ratio / ratio, ratio / bucket.ratio) }
        guard var nearest = buckets.first else { preconditionFailure("there is a bucket for each ratio") }
        for other in buckets where distance(other) < distance(nearest) { nearest = other }
        return nearest
    }

    /// Where a cut begins and how far it could be moved.
    private struct Offset {
        var x: Int
        var freeX: Int
        var y: Int
        var freeY: Int
    }

    /// The short side is the smallest whole number that lets the image cover the bucket; the long side follows as
    /// torchvision's resize has it, cut to a whole number.
    private func fit(
        width: Int, height: Int, _ bucket: Bucket, smart: Shift? = nil, moved: (Offset) -> Offset
    ) -> Fit {
        let isWide = width >= height
        let (short, long) = isWide ? (height, width) : (width, height)
        let (bucketShort, bucketLong) = isWide ? (bucket.height, bucket.width) : (bucket.width, bucket.height)
        let newShort = max(bucketShort, (bucketLong * short + long - 1) / long)
        let newLong = newShort * long / short
        let (newWidth, newHeight) = isWide ? (newLong, newShort) : (newShort, newLong)
        let offset = moved(
            Offset(
                x: centreOffset(of: bucket.width, in: newWidth), freeX: newWidth - bucket.width,
                y: centreOffset(of: bucket.height, in: newHeight), freeY: newHeight - bucket.height))
        return Fit(
            bucket: bucket, resizedWidth: newWidth, resizedHeight: newHeight, cropX: offset.x, cropY: offset.y,
            isSmart: smart != nil, shift: smart ?? Shift(), enlargement: Double(newShort) / Double(short))
    }
}

extension Image {
    /// Decodes what `fit`, made for the file's upright size, needs: see `init(decoding:name:covering:pixelLimit:)`.
    public init(
        decoding bytes: [UInt8], name: String = "image", for fit: AspectBuckets.Fit,
        pixelLimit: Int = defaultPixelLimit
    ) throws {
        try self.init(
            decoding: bytes, name: name, covering: (fit.resizedWidth, fit.resizedHeight), pixelLimit: pixelLimit)
    }

    /// The image resized and cut as `fit` says, which was made for the file's upright size, however much of it was
    /// decoded. Only the part that stays is computed, so that a sliver of an image costs no more than the bucket.
    public func fitted(_ fit: AspectBuckets.Fit) -> Image {
        let fit = fit.settled(by: self)
        return resized(
            columns: Window(fit.cropX, fit.bucket.width, of: fit.resizedWidth),
            rows: Window(fit.cropY, fit.bucket.height, of: fit.resizedHeight))
    }
}
