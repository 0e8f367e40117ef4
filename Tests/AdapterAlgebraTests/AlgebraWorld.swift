import AdapterAlgebra
import AdapterKit
import Cascade
import JSON
import LearnedTokens
import LoRA
import TestSupport
import Torch
import Weights

/// The golden's base and LoRA as files.
struct AlgebraWorld {
    let golden: Golden
    let folder: Scratch
    static let plugIns = PlugIns(filters: [], adapters: [LoRA.kind, LearnedTokens.kind])

    init() throws {
        golden = try Golden("algebra")
        folder = try Scratch()
    }

    /// Writes the base in a dtype, with its attention in thirds under diffusers' names or fused.
    func base(
        _ dtype: DType = .float32, fused: Bool = true, adding change: ((String, Tensor) throws -> Tensor)? = nil,
        to name: String = "base.safetensors"
    ) throws -> Checkpoint {
        var tensors: [(name: String, tensor: Tensor)] = []
        for (key, stored) in golden.part("base").sorted(by: { $0.key < $1.key }) {
            let tensor = try change?(key, stored.made()) ?? stored.made()
            let names = fused ? [key] : Self.diffusersNames(of: key)
            let pieces = names.count == 1 ? [tensor] : try tensor.chunked(names.count, dimension: 0)
            for (name, piece) in zip(names, pieces) { tensors.append((name, try piece.to(dtype: dtype).contiguous())) }
        }
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: folder[name])
        return try Checkpoint(folder[name])
    }

    static func diffusersNames(of key: String) -> [String] {
        let parts = key.split(separator: ".").map(String.init)
        guard let at = parts.firstIndex(of: "attn") else { return [key] }
        let block = parts[..<at].joined(separator: ".")
        switch parts[at + 1] {
        case "in_proj_weight": return ["to_q", "to_k", "to_v"].map { "\(block).\($0).weight" }
        case "in_proj_bias": return ["to_q", "to_k", "to_v"].map { "\(block).\($0).bias" }
        default: return ["\(block).to_out.0.\(parts[at + 2])"]
        }
    }

    /// Writes one of the golden's LoRA, or another one.
    func lora(
        _ name: String, rank: Int, tensors: [String: Golden.Tensor]? = nil, base: String = "tiny"
    ) throws -> AdapterFile {
        try AdapterFile(
            folder.write(
                tensors ?? golden.part(name),
                metadata: [
                    "format": AdapterFile.format, "format_version": AdapterFile.version, "kind": "lora",
                    "rank": "\(rank)", "alpha": "\(rank)", "base_model": base, "base_licence": "that of the base",
                ], to: "\(name).safetensors"))
    }

    func part(_ file: AdapterFile, weight: Double = 1) throws -> Merge.Part {
        try .init(file: file, changes: Self.plugIns.changes(in: file), weight: weight)
    }

    /// Merges and opens the result.
    func merged(_ parts: [Merge.Part], into base: Checkpoint) throws -> SafetensorsFile {
        let path = folder["merged.safetensors"]
        try Merge(parts, into: base).write(to: path)
        return try SafetensorsFile(path)
    }
}
