import CPixels
import Torch

extension Tensor {
    /// An image [3, H, W] in 0...1, float32, as interleaved 8-bit RGB, as libraries of image processing take it: cut to
    /// whole numbers as numpy's cast does, limited to 0...255.
    public func interleavedBytes() throws -> [UInt8] {
        precondition(rank == 3 && size(0) == 3 && dtype == .float32, "an image [3, H, W] of float32")
        let count = size(1) * size(2)
        return try contiguous().withBytes { bytes in
            let planes = bytes.bindMemory(to: Float.self)
            return [UInt8](unsafeUninitializedCapacity: 3 * count) { rgb, made in
                cascade_rgb_from_planes(planes.baseAddress, count, rgb.baseAddress)
                made = 3 * count
            }
        }
    }
}

extension Tensor {
    /// One plane of bytes, [1, 1, height, width] float32 in 0...1.
    /// - Parameter bytes: height * width of them.
    public convenience init(plane bytes: [UInt8], height: Int, width: Int) throws {
        precondition(bytes.count == height * width, "a byte for each pixel")
        let plane = [Float](unsafeUninitializedCapacity: bytes.count) { plane, made in
            cascade_plane_from_bytes(bytes, bytes.count, plane.baseAddress)
            made = bytes.count
        }
        try self.init(plane, shape: [1, 1, height, width])
    }
}
