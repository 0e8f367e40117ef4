import Layers
import Models
import Torch
import Weights

/// The reference's network that tells what matters in an image (`saliency_model.pt`): three strided convolutions, two
/// residual blocks, and a map at an eighth of the image's size.
///
/// Sendable because its tensors are never written once it stands.
final class SaliencyNetwork: @unchecked Sendable {
    /// Keys `downsampler.{1,2}`, `{5,6}`, `{9,10}`.
    private let down: [NormedConvolution]
    /// Keys `residual.{0,2}.resblock.{1,2}` and `{5,6}`.
    private let blocks: [ResidualBlock]
    /// Key `residual.1`, [64, 1, 1, 1]: two channels of each.
    private let widen: Convolution
    /// Keys `segmentator.{1,2}`.
    private let narrow: NormedConvolution
    /// Key `segmentator.6`, [1, 16, 9, 9].
    private let map: Convolution

    init(_ scope: Scope) throws {
        let downward = scope("downsampler")
        down = [
            try NormedConvolution(3, 8, kernel: 9, stride: 4, downward, at: 1),
            try NormedConvolution(8, 16, kernel: 3, stride: 2, downward, at: 5),
            try NormedConvolution(16, 32, kernel: 3, stride: 2, downward, at: 9),
        ]
        var widening = Convolution.Configuration(32, 64, kernel: 1)
        widening.bias = false
        widening.groups = 32
        let first = try ResidualBlock(32, scope("residual")(0)("resblock"))
        widen = try Convolution(widening, scope("residual")(1))
        blocks = [first, try ResidualBlock(64, scope("residual")(2)("resblock"))]
        narrow = try NormedConvolution(64, 16, kernel: 3, scope("segmentator"), at: 1)
        map = try Convolution(.init(16, 1, kernel: 9), scope("segmentator")(6))
    }

    convenience init(file path: String) throws {
        let store = ParameterStore(from: StoredParameters(try Tensors.open(path)))
        try self.init(store.root)
        try store.finish()
    }

    /// How much each place matters, in 0...1.
    /// - Parameter images: [B, 3, H, W], RGB in 0...1, at least 32 pixels a side.
    /// - Returns: [B, 1, H / 8, W / 8], rounded up to even numbers.
    func callAsFunction(_ images: Tensor) throws -> Tensor {
        var x = try down.reduce(images) { try $1($0).clamped(min: 0) }
        x = try blocks[1](widen(blocks[0](x)))
        x = try narrow(x).clamped(min: 0)
        x = try x.resizedToNearest(height: 2 * x.size(2), width: 2 * x.size(3))
        return try map(x.paddedByReflection(4)).sigmoid()
    }
}

/// Two convolutions whose result is added to what came in.
private struct ResidualBlock {
    let first: NormedConvolution
    let second: NormedConvolution

    init(_ channels: Int, _ scope: Scope) throws {
        first = try NormedConvolution(channels, channels, kernel: 3, scope, at: 1)
        second = try NormedConvolution(channels, channels, kernel: 3, scope, at: 5)
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor { try second(first(x).clamped(min: 0)) + x }
}

/// A convolution over an image continued by reflection, and instance norm with scale and shift; keys `{i}.weight`,
/// `{i}.bias`, and the same at `i + 1` for the norm, [C].
private struct NormedConvolution {
    let convolution: Convolution
    let padding: Int
    let scale: Tensor
    let shift: Tensor

    init(_ inputs: Int, _ outputs: Int, kernel: Int, stride: Int = 1, _ scope: Scope, at index: Int) throws {
        var configuration = Convolution.Configuration(inputs, outputs, kernel: kernel)
        configuration.stride = stride
        convolution = try Convolution(configuration, scope(index))
        padding = kernel / 2
        scale = try scope(index + 1).parameter("weight", [outputs], .ones).reshaped([1, outputs, 1, 1])
        shift = try scope(index + 1).parameter("bias", [outputs], .zeros).reshaped([1, outputs, 1, 1])
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let y = try convolution(x.paddedByReflection(padding))
        let mean = try y.mean([2, 3], keepingDimensions: true)
        let variance = try y.variance([2, 3], correction: 0, keepingDimensions: true)
        return try (y - mean) / (variance + 1e-5).sqrt() * scale + shift
    }
}

extension PublishedModel {
    static let saliency = PublishedModel(
        name: "saliency", description: "what matters in an image, for the inpainting filter",
        source: .web(
            "https://raw.githubusercontent.com/Stability-AI/StableCascade/master/modules/cnet_modules/inpainting/saliency_model.pt"
        ),
        licence: "unclear", megabytes: 1)
}
