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

    init(_ file: any NamedTensors, _ plugIns: PlugIns) {
        self =
            AdapterReport(file, plugIns).map { FileKind($0.name, $0.description, size: $0.base, licence: $0.licence) }
            ?? Self.network(file) ?? FileKind("unknown", "unknown")
    }

    private static func network(_ file: any NamedTensors) -> FileKind? {
        func has(_ name: String) -> Bool { file[name] != nil }
        func begins(_ prefix: String) -> Bool { file.entries.contains { $0.name.hasPrefix(prefix) } }
        if begins("exp_avg.") { return FileKind("optimizer", "optimizer state of a run") }
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
