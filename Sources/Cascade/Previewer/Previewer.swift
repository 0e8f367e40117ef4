import Failures
import Layers
import Torch
import Weights

/// A small decoder that shows what is in the latents of Stage C: images at a fourth of the encoded sides.
public final class Previewer {
    /// The channels of a previewer from latents to images.
    public struct Configuration: Equatable, Sendable {
        /// Channels of the latents, `c_in`.
        public var inputs = 16
        /// Channels of the first layers, `c_hidden`; later ones have a half and a fourth.
        public var hidden = 512
        /// Channels of the images, `c_out`.
        public var outputs = 3

        /// The published previewer's, unless the arguments say otherwise.
        public init(inputs: Int = 16, hidden: Int = 512, outputs: Int = 3) {
            self.inputs = inputs
            self.hidden = hidden
            self.outputs = outputs
        }
    }

    /// Keys `blocks.0`, `blocks.3`, … `blocks.21`, each with its batch norm two numbers further; GELU is between.
    private let steps: [(convolution: Convolution, norm: BatchNorm)]
    /// Key `blocks.24`, 1x1.
    private let last: Convolution
    private let inputs: Int

    /// Takes `blocks.*` from a scope.
    /// - Throws: a failure of the input that names a value that can't be.
    public init(_ configuration: Configuration, _ scope: Scope) throws {
        try Limits.check(configuration.inputs, "c_in", 1...Limits.width)
        try Limits.check(configuration.hidden, "c_hidden", 4...Limits.width)
        try Limits.check(configuration.outputs, "c_out", 1...Limits.width)
        let (whole, half, fourth) = (configuration.hidden, configuration.hidden / 2, configuration.hidden / 4)
        let blocks = scope("blocks")
        let shapes: [Convolution.Configuration] = [
            .init(configuration.inputs, whole, kernel: 1), .threeByThree(whole, whole),
            .doubling(whole, half), .threeByThree(half, half),
            .doubling(half, fourth), .threeByThree(fourth, fourth),
            .doubling(fourth, fourth), .threeByThree(fourth, fourth),
        ]
        steps = try shapes.enumerated().map { index, shape in
            (
                try Convolution(shape, blocks(3 * index)),
                try BatchNorm(shape.outputs, epsilon: 1e-5, blocks(3 * index + 2))
            )
        }
        last = try Convolution(.init(fourth, configuration.outputs, kernel: 1), blocks(3 * shapes.count))
        inputs = configuration.inputs
    }

    /// Latents [B, c_in, h, w] to images [B, c_out, 8h, 8w], about 0...1 and not clamped, in the parameters' dtype.
    public func callAsFunction(_ latents: Tensor) throws -> Tensor {
        try latents.checkShape("latents", [nil, inputs, nil, nil])
        let x = try latents.to(dtype: last.weight.dtype)
        return try last(steps.reduce(x) { try $1.norm($1.convolution($0).gelu()) })
    }

    /// All batch norms in the order they run.
    public var batchNorms: [BatchNorm] { steps.map(\.norm) }

    /// Whether the previewer is trained from nothing: see `BatchNorm.isTraining`.
    public var isTraining = false {
        didSet { for norm in batchNorms { norm.isTraining = isTraining } }
    }

    /// Takes the statistics of all batch norms from one pass over latents [B, c_in, h, w].
    public func measureStatistics(on latents: Tensor) throws {
        try BatchStatistics.measure(batchNorms) { try self(latents) }
    }
}

extension Convolution.Configuration {
    /// 3x3 that keeps the size.
    static func threeByThree(_ inputs: Int, _ outputs: Int) -> Self {
        var configuration = Self(inputs, outputs, kernel: 3)
        configuration.padding = 1
        return configuration
    }

    /// Transposed 2x2 that doubles each side.
    fileprivate static func doubling(_ inputs: Int, _ outputs: Int) -> Self {
        var configuration = Self(inputs, outputs, kernel: 2)
        configuration.stride = 2
        configuration.transposed = true
        return configuration
    }
}

extension Previewer {
    /// The previewer in a file, its widths told from the tensors' shapes.
    public static func load(_ file: any NamedTensors, device: Device = .cpu) throws -> Previewer {
        let store = ParameterStore(from: StoredParameters(file, ignoring: BatchStatistics.isCounter), device: device)
        let previewer = try Previewer(.init(of: file), store.root)
        try store.finish()
        return previewer
    }
}

extension Previewer.Configuration {
    /// The channels that the shapes of a file's tensors tell.
    /// - Throws: a failure of the input where the file holds no previewer.
    public init(of file: any NamedTensors) throws {
        func index(_ key: String) -> Int { Int(key.dropFirst("blocks.".count).prefix { $0 != "." }) ?? -1 }
        let last = file.entries.filter { $0.name.hasSuffix(".weight") && $0.shape.count == 4 }.max {
            index($0.name) < index($1.name)
        }
        guard let first = file["blocks.0.weight"], first.shape.count == 4, let last else {
            throw Failure.input(
                "there is no previewer in the file", at: Failure.Place(file.path), expected: "keys `blocks.N.*`")
        }
        self.init(inputs: first.shape[1], hidden: first.shape[0], outputs: last.shape[0])
    }
}
