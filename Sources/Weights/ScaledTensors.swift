import Torch

/// Tensors of which some are stored in float8 with a factor beside them, as ComfyUI stores them: `scaled_fp8` marks
/// such a file, `X.scale_weight` is the factor of `X.weight`. Values come multiplied, in float32.
///
/// Source: ComfyUI, `comfy/ops.py`, `scaled_fp8_ops`.
public final class ScaledTensors: NamedTensors {
    /// The file's, without markers and factors; a weight that has a factor is float32.
    public let entries: [TensorEntry]
    private let file: any NamedTensors
    private let positions: TensorPositions

    private static let marker = "scaled_fp8"

    /// The tensors of a file with their factors multiplied in; the file itself where there are none.
    public static func resolved(_ file: any NamedTensors) -> any NamedTensors {
        let isMarked = file.entries.contains { $0.name == marker || $0.name.hasSuffix("." + marker) }
        return isMarked ? ScaledTensors(file) : file
    }

    private init(_ file: any NamedTensors) {
        self.file = file
        entries = file.entries.compactMap { entry in
            let last = entry.name.split(separator: ".", omittingEmptySubsequences: false).last.map(String.init)
            if [Self.marker, "scale_weight", "scale_input"].contains(last) { return nil }
            guard Self.scale(of: entry, in: file) != nil else { return entry }
            return TensorEntry(name: entry.name, dtype: .float32, shape: entry.shape)
        }
        positions = TensorPositions(ofView: entries)
    }

    /// That of the file behind it.
    public var path: String { file.path }
    /// That of the file behind it.
    public var metadata: [String: String] { file.metadata }
    /// A tensor by its name, byte by byte; nil where there is none, or where it is a factor.
    public subscript(name: String) -> TensorEntry? { positions[name].map { entries[$0] } }
    /// As the file behind it has it.
    public func storedName(of name: String) -> String { file.storedName(of: name) }
    /// Takes what was read of the stored tensor out of memory; a product is a copy.
    public func release(_ name: String) { file.release(name) }

    /// The stored tensor, or its product with its factor in float32; nil where there is none.
    public func tensor(_ name: String) throws -> Tensor? {
        guard let entry = self[name], let stored = try file.tensor(name) else { return nil }
        guard let scale = Self.scale(of: entry, in: file) else { return stored }
        let factor = try file.required(scale).to(dtype: .float32)
        return try stored.to(dtype: .float32) * factor
    }

    /// The name of the one factor that belongs to a weight.
    private static func scale(of entry: TensorEntry, in file: any NamedTensors) -> String? {
        guard entry.name.hasSuffix(".weight") else { return nil }
        let name = entry.name.dropLast("weight".count) + "scale_weight"
        return file[String(name)]?.count == 1 ? String(name) : nil
    }
}
