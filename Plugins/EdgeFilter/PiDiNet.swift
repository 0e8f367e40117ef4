import Failures
import Layers
import Models
import Torch
import Weights

/// PiDiNet, which finds soft edges (Su et al. 2021, "Pixel Difference Networks for Efficient Edge Detection"), in the
/// paper's configuration CARV4 with its dilated convolutions and its spatial attention.
///
/// Sendable because its tensors are never written once it stands.
final class PiDiNet: @unchecked Sendable {
    struct Configuration {
        /// Channels of the first group, C: 60 in the published file, 30 and 20 in the paper's smaller networks.
        let width: Int
        /// Channels of the modules beside the backbone: 24, 12 and 8.
        let dilatedWidth: Int

        /// What the shapes in a file say.
        init(of file: any NamedTensors, prefix: String) throws {
            func outputs(_ key: String) throws -> Int {
                let size = file[prefix + key]?.shape.first ?? 0
                guard (1...1024).contains(size) else {
                    throw Failure.input(
                        "these are no weights of PiDiNet", at: .init(file.path),
                        expected: "\(prefix + key) with 1 to 1024 channels", got: size == 0 ? "none" : "\(size)")
                }
                return size
            }
            width = try outputs("init_block.weight")
            dilatedWidth = try outputs("dilations.0.conv1.weight")
        }
    }

    /// Keys `init_block`, and in groups `block1_1` to `block4_4`.
    private let first: DifferenceConvolution
    private let groups: [[DifferenceBlock]]
    /// Keys `dilations.{i}`, `attentions.{i}`, `conv_reduces.{i}.conv`, one for each group.
    private let sides: [(dilated: DilatedModule, attention: SpatialAttention, reduce: Convolution)]
    /// Key `classifier`, [1, 4, 1, 1].
    private let classifier: Convolution

    init(_ configuration: Configuration, _ scope: Scope) throws {
        let (width, dilatedWidth) = (configuration.width, configuration.dilatedWidth)
        let kinds: [PixelDifference] = [.central, .angular, .radial, .vanilla]
        first = try DifferenceConvolution(.central, inputs: 3, outputs: width, groups: 1, scope("init_block"))
        let widths = [width, 2 * width, 4 * width, 4 * width]
        groups = try widths.indices.map { group in
            // The first convolution of the network is the first of the first group.
            try (group == 0 ? kinds.dropFirst() : kinds[...]).enumerated().map { index, kind in
                let isSmaller = group > 0 && index == 0
                return try DifferenceBlock(
                    kind, inputs: isSmaller ? widths[group - 1] : widths[group], outputs: widths[group],
                    isSmaller: isSmaller, scope("block\(group + 1)_\(index + 1)"))
            }
        }
        sides = try widths.enumerated().map { index, width in
            (
                try DilatedModule(width, dilatedWidth, scope("dilations")(index)),
                try SpatialAttention(dilatedWidth, scope("attentions")(index)),
                try Convolution(.init(dilatedWidth, 1, kernel: 1), scope("conv_reduces")(index)("conv"))
            )
        }
        classifier = try Convolution(.init(4, 1, kernel: 1), scope("classifier"))
    }

    /// The network in a file, such as `table5_pidinet.pth`, whose keys stand behind `state_dict.module.`.
    convenience init(file path: String) throws {
        let file = try Tensors.open(path)
        let anchor = "init_block.weight"
        let prefix = file.entries.first { $0.name.hasSuffix(anchor) }.map { String($0.name.dropLast(anchor.count)) }
        let store = ParameterStore(from: LaidOutByPixels(StoredParameters(file, prefix: prefix ?? "")))
        try self.init(Configuration(of: file, prefix: prefix ?? ""), store.root)
        try store.finish()
    }

    /// Soft edges of images, in 0...1.
    /// - Parameter images: [B, 3, H, W], RGB in 0...1, at least `leastSide` pixels a side.
    /// - Returns: [B, 1, H, W].
    func callAsFunction(_ images: Tensor) throws -> Tensor {
        var x = try first(images.laidOutByPixels())
        let maps = try zip(groups, sides).map { group, side in
            x = try group.reduce(x) { try $1($0) }  // [B, C, H / 2^i, W / 2^i]
            let map = try side.reduce(side.attention(side.dilated(x)))
            return try map.resized(height: images.size(2), width: images.size(3), alignCorners: false)
        }
        return try classifier(.concatenated(maps, dimension: 1)).sigmoid()
    }

    /// The network halves its images three times.
    static let leastSide = 8
}

/// The kernels of another source with their channels side by side in memory, as the images' are: all of a pass then
/// stays in that order and takes three quarters of the time.
private struct LaidOutByPixels: ParameterSource {
    private let source: any ParameterSource

    init(_ source: any ParameterSource) { self.source = source }

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        let value = try source.value(key, shape: shape, initial: initial)
        return shape.count == 4 ? try value.laidOutByPixels() : value
    }

    func finish() throws { try source.finish() }
}

extension PublishedModel {
    static let pidinet = PublishedModel(
        name: "pidinet", description: "soft edges, for the edge filter",
        source: .hubFile(repository: "lllyasviel/Annotators", file: "table5_pidinet.pth"), licence: "research only",
        megabytes: 3)
}
