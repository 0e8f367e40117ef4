import CPixels
import Torch

extension Tensor {
    /// Images or conditions in another size, bilinear without averaging, as torch's `interpolate` with corners not
    /// aligned.
    ///
    /// On the CPU by loops of our own, which take a part of the time of libtorch's; they keep no graph.
    /// - Parameter self: [B, C, H, W].
    public func interpolated(height: Int, width: Int) throws -> Tensor {
        guard hasPlainPlanes else { return try resized(height: height, width: width, alignCorners: false) }
        return try planes(
            along: PlaneAxis(bilinear: size(3), to: width), PlaneAxis(bilinear: size(2), to: height))
    }

    /// Images or conditions in another size, each pixel one of the old ones, as torch's `interpolate` with `nearest`;
    /// otherwise as `interpolated(height:width:)`.
    /// - Parameter scale: how many times longer the sides become. Where the sizes ask for more than it gives, the last
    ///   pixel reaches to the border.
    public func interpolatedToNearest(height: Int, width: Int, scale: Double) throws -> Tensor {
        guard hasPlainPlanes else { return try resizedToNearest(height: height, width: width, scale: scale) }
        return try planes(
            along: PlaneAxis(nearest: size(3), to: width, scale), PlaneAxis(nearest: size(2), to: height, scale))
    }

    private var hasPlainPlanes: Bool { rank == 4 && device == .cpu && dtype == .float32 && count > 0 }

    private func planes(along across: PlaneAxis, _ down: PlaneAxis) throws -> Tensor {
        let (planes, height, width) = (size(0) * size(1), size(2), size(3))
        let (newHeight, newWidth) = (down.firsts.count, across.firsts.count)
        let resized = try Tensor.uninitialized([size(0), size(1), newHeight, newWidth])
        var rows = [Float](repeating: 0, count: 2 * newWidth)
        try contiguous().withBytes { old in
            resized.withMutableBytes { new in
                let old = old.bindMemory(to: Float.self)
                let new = new.bindMemory(to: Float.self)
                across.withAxis { across in
                    down.withAxis { down in
                        for plane in 0..<planes {
                            cascade_interpolate_plane(
                                old.baseAddress.map { $0 + plane * height * width }, width, across, down, &rows,
                                new.baseAddress.map { $0 + plane * newHeight * newWidth })
                        }
                    }
                }
            }
        }
        return resized
    }
}

/// Which old samples of an axis each new one draws on, one or two, reckoned in float32 as torch's `interpolate` does.
private struct PlaneAxis {
    /// The first of them, for each new sample.
    let firsts: [Int32]
    /// [new samples, taps]
    private let weights: [Float]
    private let taps: Int

    /// Each new sample is one of `old`; where there are as many, `scale` does not matter.
    init(nearest old: Int, to new: Int, _ scale: Double) {
        let step = old == new ? 1 : Float(1 / scale)
        taps = 1
        firsts = (0..<new).map { Int32(min(Int(Float($0) * step), old - 1)) }
        weights = [Float](repeating: 1, count: new)
    }

    /// Each new sample lies between two of `old`, or beyond the outermost and is that.
    init(bilinear old: Int, to new: Int) {
        let step = Float(old) / Float(new)
        let places = (0..<new).map { max(0, (-0.5 as Float).addingProduct(step, Float($0) + 0.5)) }
        let firsts = places.map { Int32(max(0, min(Int($0), old - 2))) }
        taps = min(old, 2)
        self.firsts = firsts
        weights = (0..<new * taps).map { [taps] index in
            let rest = min(places[index / taps] - Float(firsts[index / taps]), 1)
            return index % taps == 0 ? 1 - rest : rest
        }
    }

    /// Calls with the axis as C sees it.
    func withAxis(_ body: (CascadeAxis) -> Void) {
        firsts.withUnsafeBufferPointer { firsts in
            weights.withUnsafeBufferPointer { weights in
                body(
                    CascadeAxis(
                        count: firsts.count, taps: taps, firsts: firsts.baseAddress, weights: weights.baseAddress))
            }
        }
    }
}
