import Cascade
import Weights

/// What a file of weights is, told by its description or by its tensors' names.
struct FileKind {
    /// Short and stable, for programs.
    let name: String
    /// For people.
    let description: String
    /// The `model_version` a network's file belongs to, or nil.
    var size: String?
    /// What is known of the licence.
    var licence: String?

    var isNative: Bool { name.hasPrefix("adapter") }

    private static let published = "published weights and what derives from them are for non-commercial use"

    private init(_ name: String, _ description: String, size: String? = nil, licence: String? = nil) {
        self.name = name
        self.description = description
        self.size = size
        self.licence = licence
    }

    /// - Parameter adapter: what the file is as an adapter; nil where it is none.
    init(_ checkpoint: Checkpoint, _ adapter: AdapterReport?) {
        let file = checkpoint.file
        self =
            adapter.map { FileKind($0.name, $0.description, size: $0.base, licence: $0.licence) }
            ?? Self.optimizer(file) ?? Self.network(checkpoint) ?? FileKind("unknown", "unknown")
    }

    private static func optimizer(_ file: any NamedTensors) -> FileKind? {
        guard file.entries.contains(where: { $0.name.hasPrefix("exp_avg.") }) else { return nil }
        return FileKind("optimizer", "optimizer state of a run")
    }

    /// Networks of Stable Cascade, in any layout.
    private static func network(_ checkpoint: Checkpoint) -> FileKind? {
        guard let first = checkpoint.parts.first else { return nil }
        let size = checkpoint.parts.lazy.compactMap { checkpoint.size(of: $0) }.first
        return FileKind(
            checkpoint.parts.count == 1 ? first.rawValue : "checkpoint",
            "\(checkpoint.holdings), in the layout of \(checkpoint.layout.people)"
                + (checkpoint.quantisation.map { ", matrices in \($0.rawValue)" } ?? ""), size: size,
            licence: size.map(ModelSize.isPublished) ?? false ? published : nil)
    }
}

extension Layout {
    /// Whose names they are, for people.
    fileprivate var people: String {
        switch self {
        case .reference: "the official release"
        case .diffusers: "diffusers"
        case .transformers: "transformers"
        case .comfyUI: "ComfyUI"
        case .torchvision: "torchvision"
        }
    }
}
