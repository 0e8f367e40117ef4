import Layers
import Torch

/// A convolution of pixel differences that keeps the image's size; key `weight`, [out, in / groups, 3, 3].
struct DifferenceConvolution {
    private let kernel: Tensor
    private let groups: Int

    init(_ kind: PixelDifference, inputs: Int, outputs: Int, groups: Int, _ scope: Scope) throws {
        let weight = try scope.parameter("weight", [outputs, inputs / groups, 3, 3], .torchUniform)
        kernel = try kind.kernel(of: weight)
        self.groups = groups
    }

    func callAsFunction(_ x: Tensor) throws -> Tensor {
        try x.convolved(kernel, padding: kernel.size(2) / 2, groups: groups)
    }
}

/// A residual block: pixel differences channel by channel, then a mix of the channels.
struct DifferenceBlock {
    /// Key `conv1`.
    private let differences: DifferenceConvolution
    /// Key `conv2`, [out, in, 1, 1], no bias.
    private let mix: Convolution
    /// Key `shortcut`, [out, in, 1, 1], in a block that halves the image.
    private let shortcut: Convolution?

    init(_ kind: PixelDifference, inputs: Int, outputs: Int, isSmaller: Bool, _ scope: Scope) throws {
        differences = try DifferenceConvolution(kind, inputs: inputs, outputs: inputs, groups: inputs, scope("conv1"))
        var mixing = Convolution.Configuration(inputs, outputs, kernel: 1)
        mixing.bias = false
        mix = try Convolution(mixing, scope("conv2"))
        shortcut = isSmaller ? try Convolution(.init(inputs, outputs, kernel: 1), scope("shortcut")) : nil
    }

    /// [B, in, H, W] to [B, out, H, W], or half as high and wide.
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = shortcut == nil ? x : try x.maxPooled(2)
        return try mix(differences(x).clamped(min: 0)) + (shortcut?(x) ?? x)
    }
}

/// The paper's CDCM: what lies around at four distances, added up.
struct DilatedModule {
    /// Key `conv1`, [out, in, 1, 1].
    private let narrow: Convolution
    /// Keys `conv2_1` to `conv2_4`, [out, out, 3, 3], no biases.
    private let dilated: [Convolution]

    init(_ inputs: Int, _ outputs: Int, _ scope: Scope) throws {
        narrow = try Convolution(.init(inputs, outputs, kernel: 1), scope("conv1"))
        dilated = try [5, 7, 9, 11].enumerated().map { index, distance in
            var convolution = Convolution.Configuration(outputs, outputs, kernel: 3)
            convolution.padding = distance
            convolution.dilation = distance
            convolution.bias = false
            return try Convolution(convolution, scope("conv2_\(index + 1)"))
        }
    }

    /// [B, in, H, W] to [B, out, H, W].
    func callAsFunction(_ x: Tensor) throws -> Tensor {
        let x = try narrow(x.clamped(min: 0))
        return try dilated.dropFirst().reduce(dilated[0](x)) { try $0 + $1(x) }
    }
}

/// The paper's CSAM: how much each pixel matters.
struct SpatialAttention {
    /// Keys `conv1`, [4, C, 1, 1], and `conv2`, [1, 4, 3, 3] without bias.
    private let narrow: Convolution
    private let gate: Convolution

    init(_ channels: Int, _ scope: Scope) throws {
        narrow = try Convolution(.init(channels, 4, kernel: 1), scope("conv1"))
        var gate = Convolution.Configuration(4, 1, kernel: 3)
        gate.padding = 1
        gate.bias = false
        self.gate = try Convolution(gate, scope("conv2"))
    }

    /// [B, C, H, W] to the same.
    func callAsFunction(_ x: Tensor) throws -> Tensor { try x * gate(narrow(x.clamped(min: 0))).sigmoid() }
}
