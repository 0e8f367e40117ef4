import AdapterKit
import Layers
import Settings
import Torch

/// A trained factor for each output channel of a product: `(1 + factor) · W x + bias`.
///
/// It has as few numbers as an adapter can have. `adapter_method: scale` with `module_filters` asks for it.
struct ChannelScale: ModuleMethod {
    static let name = "scale"
    static let title = "channel scale"

    /// What is added to 1 for each channel, [out].
    static let matrices = [MethodMatrix("factor", key: "scale", axes: [.outputs])]

    /// There is nothing to choose.
    init(_ fields: inout Fields) {}

    var summary: String { "a factor for each output channel" }

    func start(_ module: ModuleShape) -> [(shape: [Int], initial: Initializer)] {
        [([module.outputs], .zeros)]
    }

    static func output(_ pass: ProjectionPass, _ module: ModuleValues) throws -> Tensor {
        let (output, factor) = (pass.output, module.matrices[0])
        // Channels come last, but for depthwise kernels: [B, C, H, W].
        let shape = module.shape.kernelSide == nil ? [-1] : [-1, 1, 1]
        func alongChannels(_ vector: Tensor) throws -> Tensor { try vector.to(dtype: output.dtype).reshaped(shape) }
        let product = try module.bias.map { try output - alongChannels($0) } ?? output
        return try output + product * alongChannels(factor * module.scale)
    }

    static func merged(_ weight: Tensor, rows: Range<Int>, _ module: ModuleValues) throws -> Tensor {
        try weight * (module.matrices[0].sliced(0, rows) * module.scale + 1).unsqueezed(-1)  // [k, in]
    }
}
