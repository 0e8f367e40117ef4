import AdapterKit
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

    init(_ checkpoint: Checkpoint) {
        let file = checkpoint.file
        self =
            Self.native(file) ?? Self.adapter(file) ?? Self.network(checkpoint) ?? FileKind("unknown", "unknown")
    }

    /// An adapter of ours says itself what it is.
    private static func native(_ file: any NamedTensors) -> FileKind? {
        guard file.metadata["format"] == AdapterFile.format else { return nil }
        let kinds = file.metadata["kind"] ?? "of no kind"
        return FileKind(
            "adapter-" + kinds.split(separator: ",").joined(separator: "+"), "adapter in the native format: \(kinds)",
            size: file.metadata["base_model"], licence: file.metadata["base_licence"])
    }

    /// Adapters of other programs.
    private static func adapter(_ file: any NamedTensors) -> FileKind? {
        let names = file.entries.map(\.name)
        func any(_ test: (String) -> Bool) -> Bool { names.contains(where: test) }
        if any({ $0.hasPrefix("weights.") && $0.hasSuffix(".lora_down") }) {
            return FileKind(
                "lora-reference", "LoRA as the official code writes it (no module names)", licence: published)
        }
        if file["embeddings.embeddings"] != nil {
            return FileKind("tokens-reference", "learned tokens as the official code writes them", licence: published)
        }
        if any({ $0.hasPrefix("lora_prior_") || $0.hasPrefix("bundle_emb.") }) {
            return FileKind("lora-onetrainer", "LoRA as OneTrainer writes it")
        }
        if any({ $0.hasPrefix("lora_unet_") || $0.hasPrefix("lora_te_") }) {
            return FileKind("lora-kohya", "LoRA as kohya's scripts write it")
        }
        if any({ $0.hasPrefix("diffusion_model.") && $0.contains(".lora_") }) {
            return FileKind("lora-comfyui", "LoRA with ComfyUI's names")
        }
        if any({ $0.hasSuffix(".lora_A.weight") }) {
            return FileKind("lora-diffusers", "LoRA as diffusers and PEFT write it")
        }
        if file["clip_g"] != nil { return FileKind("embedding", "token embedding for the text tower") }
        if any({ $0.hasPrefix("exp_avg.") }) { return FileKind("optimizer", "optimizer state of a run") }
        return nil
    }

    /// Networks of Stable Cascade, in any layout.
    private static func network(_ checkpoint: Checkpoint) -> FileKind? {
        guard let first = checkpoint.parts.first else { return nil }
        let size = checkpoint.parts.lazy.compactMap { checkpoint.size(of: $0) }.first
        let known: Set = ["3.6B", "1B", "3B", "700M"]
        return FileKind(
            checkpoint.parts.count == 1 ? first.rawValue : "checkpoint",
            "\(checkpoint.holdings), in the layout of \(checkpoint.layout.people)", size: size,
            licence: size.map(known.contains) ?? false ? published : nil)
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
