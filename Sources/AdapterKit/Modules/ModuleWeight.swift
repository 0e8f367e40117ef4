import Cascade
import Layers
import Weights

/// The weight behind a module's path: a tensor of the official checkpoint, or a third of attention's fused one.
public struct ModuleWeight: Equatable, Sendable {
    /// As module filters see it: `down_blocks.0.2.attention.attn.to_q`.
    public let path: String
    /// The network that it lies in.
    public let part: ModelPart
    /// In the official checkpoint: `down_blocks.0.2.attention.attn.in_proj_weight`.
    public let key: String
    /// The module's rows of the tensor.
    public let rows: Range<Int>
    /// All rows of the tensor.
    public let height: Int

    private static let attention = ".attention.attn."
    private static let fused = "\(Attention.fused)_weight"

    /// - Parameters:
    ///   - path: of the module.
    ///   - outputs: rows of the module's own weight.
    public init(path: String, outputs: Int) {
        self.path = path
        part = ModulePath.isOfText(path) ? .clipText : .stageC
        let last = path.lastIndex(of: ".").map { path.index(after: $0) } ?? path.startIndex
        if path[..<last].hasSuffix(Self.attention), let third = Attention.thirds.firstIndex(of: String(path[last...])) {
            key = path[..<last] + Self.fused
            rows = third * outputs..<(third + 1) * outputs
            height = 3 * outputs
        } else {
            key = path + ".weight"
            rows = 0..<outputs
            height = outputs
        }
    }

    /// The modules behind a tensor of the official checkpoint: three for attention's fused weight, one for another
    /// matrix, 1x1 convolution or depthwise kernels, none for what no adapter of modules can change.
    public static func behind(_ entry: TensorEntry) -> [ModuleWeight] {
        let shape = entry.shape
        let isConvolution = shape.count == 4 && (shape[2...] == [1, 1] || shape[1] == 1)
        guard shape.count == 2 || isConvolution, !shape.contains(0) else { return [] }
        if entry.name.hasSuffix(attention + fused) {
            guard shape[0] % 3 == 0 else { return [] }
            let stem = entry.name.dropLast(fused.count)
            return Attention.thirds.map { ModuleWeight(path: stem + $0, outputs: shape[0] / 3) }
        }
        guard entry.name.hasSuffix(".weight") else { return [] }
        return [ModuleWeight(path: String(entry.name.dropLast(".weight".count)), outputs: shape[0])]
    }
}
