import Failures

/// The image sizes of a training run: one bucket of about the same area for each aspect ratio and its inverse.
///
/// A bucket's height is floor(sqrt(area / ratio) / step) * step, its width floor(sqrt(area * ratio) / step) * step, the
/// ratio being width over height (the reference's Bucketeer). Unlike the reference, which measures the distance of
/// ratios by their difference and so favours landscape, an image goes to the bucket whose ratio is nearest as a
/// quotient; it is only enlarged as far as it takes to cover the bucket, whatever its orientation; and the ratios handed
/// in stay as they are. `fit` finds the bucket of an image and the way into it.
public struct AspectBuckets: Equatable, Sendable {
    /// One size that images are brought to.
    public struct Bucket: Hashable, Sendable {
        /// In pixels, a multiple of the step.
        public let width: Int
        /// In pixels, a multiple of the step.
        public let height: Int
        /// Width over height, as it was asked for.
        public let ratio: Double
    }

    /// In the order of the ratios, each followed by its inverse where that is another.
    public let buckets: [Bucket]

    /// - Parameters:
    ///   - size: the side of the square whose area the buckets have.
    ///   - ratios: width over height.
    ///   - step: what divides every side, in pixels: the stride of the encoder.
    public init(size: Int, ratios: [Double] = [1], step: Int) throws {
        let largest = 8192
        guard step > 0, size >= step, size <= largest else {
            throw Failure.input(
                "an image size that makes no buckets", expected: "\(step) to \(largest) pixels", got: "\(size)")
        }
        if ratios.isEmpty { throw Failure.input("no aspect ratio", expected: "at least one, such as 1/1") }
        let area = Double(size * size)
        var buckets: [Bucket] = []
        for ratio in ratios {
            guard ratio.isFinite, ratio > 0 else {
                throw Failure.input("an aspect ratio that makes no bucket", expected: "above 0", got: "\(ratio)")
            }
            let sides = (across: (area * ratio).squareRoot(), down: (area / ratio).squareRoot())
            guard min(sides.across, sides.down) >= Double(step) else {
                throw Failure.input(
                    "an aspect ratio too extreme for the image size", expected: "sides of at least \(step) pixels",
                    got: "\(ratio)")
            }
            let across = floorToStep(sides.across, step)
            let down = floorToStep(sides.down, step)
            for bucket in [
                Bucket(width: across, height: down, ratio: ratio),
                Bucket(width: down, height: across, ratio: 1 / ratio),
            ] where !buckets.contains(where: { $0.ratio == bucket.ratio }) {
                buckets.append(bucket)
            }
        }
        self.buckets = buckets
    }

    /// An aspect ratio as a configuration writes it: a number, or a fraction such as `9/16`.
    public static func ratio(parsing text: String) throws -> Double {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { part in
            Double(String(part.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()))
        }
        let value: Double? =
            switch parts.count {
            case 1: parts[0]
            case 2: parts[0].flatMap { above in parts[1].map { above / $0 } }
            default: nil
            }
        guard let value, value.isFinite, value > 0 else {
            throw Failure.input(
                "not an aspect ratio", expected: "a number or a fraction such as 9/16", got: "'\(text)'")
        }
        return value
    }
}

private func floorToStep(_ value: Double, _ step: Int) -> Int {
    Int((value / Double(step)).rounded(.down)) * step
}
