import AdapterKit
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

    init(_ file: any NamedTensors) {
        self = Self.native(file) ?? Self.adapter(file) ?? Self.network(file) ?? FileKind("unknown", "unknown")
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

    private static func network(_ file: any NamedTensors) -> FileKind? {
        func has(_ name: String) -> Bool { file[name] != nil }
        func begins(_ prefix: String) -> Bool { file.entries.contains { $0.name.hasPrefix(prefix) } }
        if begins("model.diffusion_model.") {
            return FileKind("comfyui", "checkpoint with ComfyUI's names", licence: published)
        }
        if let mapper = file["clip_txt_mapper.weight"] {
            let size = [2048: "3.6B", 1536: "1B", 128: "tiny"][mapper.shape.first ?? 0]
            return FileKind(
                "stage-c", "Stage C, " + (size ?? "of a size of its own"), size: size,
                licence: size == "3.6B" || size == "1B" ? published : nil)
        }
        if has("clip_mapper.weight") {
            let width = file["down_blocks.1.0.channelwise.0.weight"]?.shape.last ?? 0
            let size = [640: "3B", 576: "700M"][width]
            return FileKind(
                "stage-b", "Stage B, " + (size ?? "of a size of its own"), size: size,
                licence: size == nil ? nil : published)
        }
        if has("clip_txt_pooled_mapper.weight") && begins("down_blocks.") {
            return FileKind("diffusers", "Stage C or B with diffusers' names", licence: published)
        }
        if begins("backbone.") && begins("projections.") {
            return FileKind("controlnet", "ControlNet without description (block indices are not in the file)")
        }
        if has("mapper.0.weight") && begins("backbone.") { return FileKind("effnet", "EffNet encoder of Stage C") }
        if begins("features.0.0.") { return FileKind("efficientnet", "torchvision's EfficientNetV2") }
        if has("blocks.0.weight") && has("blocks.24.weight") { return FileKind("previewer", "previewer of Stage C") }
        if begins("vquantizer.") { return FileKind("stage-a", "Stage A") }
        switch (begins("text_model."), begins("vision_model.")) {
        case (true, true): return FileKind("clip", "CLIP, text and picture towers")
        case (true, false): return FileKind("clip-text", "CLIP text tower")
        case (false, true): return FileKind("clip-vision", "CLIP picture tower")
        case (false, false): return nil
        }
    }
}
