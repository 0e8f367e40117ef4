import Cascade
import Torch

extension EffNetEncoder {
    /// The latents of images, which Stage C works on and Stage B is conditioned on.
    /// - Parameter images: [B, 3, H, W] in 0...1, on the encoder's device.
    /// - Returns: [B, c_latent, H/stride, W/stride], rounded up.
    public func latents(of images: Tensor) throws -> Tensor { try encode(Self.normalised(images)) }
}

/// Images as Stage B is conditioned on them: by their EffNet latents.
public struct EffNetConditions {
    /// Makes the latents; its device is the one they are computed on.
    public let encoder: EffNetEncoder
    /// Of the latents.
    let channels: Int
    let device: Device

    /// - Parameters:
    ///   - encoder: makes the latents.
    ///   - stageB: says how many channels the latents of images without theirs have.
    ///   - device: where images are encoded and latents returned.
    public init(encoder: EffNetEncoder, for stageB: StageBConfiguration, device: Device) {
        self.encoder = encoder
        channels = stageB.effnetChannels
        self.device = device
    }

    /// Latents [B, c, h, w], float32, zeros but for some.
    /// - Parameters:
    ///   - images: [B, 3, H, W] in 0...1.
    ///   - scale: of the images' sides before they are encoded, which then are multiples of the stride.
    ///   - isKept: which images have theirs; nil for all.
    public func callAsFunction(_ images: Tensor, scale: Double = 1, where isKept: [Bool]? = nil) throws -> Tensor {
        let stride = encoder.configuration.stride
        func side(_ pixels: Int) -> Int { max(1, Int(Double(pixels) * scale / Double(stride))) }
        let (height, width) = (side(images.size(2)), side(images.size(3)))
        let isKept = isKept ?? .init(repeating: true, count: images.size(0))
        let zeros = try Tensor.zeros([1, channels, height, width], device: device)
        let rows = isKept.indices.filter { isKept[$0] }
        guard !rows.isEmpty else { return try zeros.repeated([isKept.count, 1, 1, 1]) }
        return try withoutGradients {
            let seen = try Tensor.concatenated(rows.map { try images.sliced(0, $0..<$0 + 1) }, dimension: 0)
                .to(device: device).resizedToNearest(height: stride * height, width: stride * width)
            let latents = try encoder.latents(of: seen).to(dtype: .float32)
            var next = 0
            return try .concatenated(
                isKept.map { isKept in
                    guard isKept else { return zeros }
                    next += 1
                    return try latents.sliced(0, next - 1..<next)
                }, dimension: 0)
        }
    }
}
