import AdapterKit

/// A format that names its modules: kohya's, ComfyUI's, OneTrainer's, diffusers'.
enum KeyedFormat: CaseIterable {
    case kohya, oneTrainer, comfyUI, diffusers

    var foreign: ForeignFormat {
        switch self {
        case .kohya: .init("lora-kohya", "LoRA as kohya's scripts write it")
        case .oneTrainer: .init("lora-onetrainer", "LoRA as OneTrainer writes it")
        case .comfyUI: .init("lora-comfyui", "LoRA with ComfyUI's names")
        case .diffusers: .init("lora-diffusers", "LoRA as diffusers and PEFT write it")
        }
    }

    /// What stands before the path of a module of Stage C, of the text tower, and of Stage B.
    ///
    /// Source: comfyanonymous/ComfyUI, comfy/lora.py; kohya-ss/sd-scripts, networks/lora.py; Nerogar/OneTrainer,
    /// modules/util/convert/lora; huggingface/diffusers, loaders/peft.py. What diffusers' prefixes stand before is
    /// PEFT's own.
    private var prefixes: (stageC: [String], text: [String], stageB: [String]) {
        switch self {
        case .kohya: (["lora_unet_"], ["lora_te_"], [])
        case .oneTrainer: (["lora_prior_unet_"], ["lora_prior_te_"], ["lora_decoder_unet_", "lora_decoder_te_"])
        case .comfyUI: (["diffusion_model."], ["text_encoders.clip_g.transformer.", "clip_g.transformer."], [])
        case .diffusers: (["prior.", "unet.", "base_model.model.", ""], ["text_encoder."], ["decoder."])
        }
    }

    private var isUnderscored: Bool { self == .kohya || self == .oneTrainer }

    /// A key taken apart.
    struct Key {
        let format: KeyedFormat
        let role: Role
        /// Our path; nil where the key's own names no module.
        let path: String?
    }

    /// What a tensor of a module is.
    enum Role: Equatable {
        case down, up, alpha
        /// Part of a method that is not LoRA, by its name.
        case other(String)
    }

    private static let roles: [(suffix: String, role: Role)] = [
        (".lora_down.weight", .down), (".lora_up.weight", .up), (".lora_A.weight", .down), (".lora_B.weight", .up),
        (".lora_A.default.weight", .down), (".lora_B.default.weight", .up), (".lora.down.weight", .down),
        (".lora.up.weight", .up), (".alpha", .alpha), (".dora_scale", .other("DoRA")),
        (".lora_magnitude_vector", .other("DoRA")), (".lora_magnitude_vector.weight", .other("DoRA")),
        (".lora_magnitude_vector.default.weight", .other("DoRA")), (".lora_mid.weight", .other("LoCon with a core")),
        (".lora_B.bias", .other("LoRA with biases")), (".diff", .other("a full difference")),
        (".diff_b", .other("a full difference")),
    ]

    /// What a key means in the first format that it fits; nil where it is of no LoRA.
    static func key(_ name: String) -> Key? {
        guard let (stem, role) = role(of: name) else { return nil }
        for format in allCases {
            let (stageC, text, stageB) = format.prefixes
            if stageB.contains(where: stem.hasPrefix) { return Key(format: format, role: .other("Stage B"), path: nil) }
            for (prefixes, isOfText) in [(text, true), (stageC, false)] {
                guard let prefix = prefixes.first(where: stem.hasPrefix) else { continue }
                // Without any prefix only PEFT's own names are a LoRA for sure.
                if prefix.isEmpty && !name.contains(".lora_A.") && !name.contains(".lora_B.") { return nil }
                let rest = String(stem.dropFirst(prefix.count))
                let dotted = ModulePath.dotted(ModulePath.underscored(rest))
                let isKnown = dotted.map { format.isUnderscored || $0 == rest } ?? false
                let path = isKnown ? dotted.map(ModulePath.canonical) : nil
                let fits = path.map { ModulePath.isOfText($0) == isOfText || format == .diffusers } ?? false
                return Key(format: format, role: role, path: fits ? path : nil)
            }
        }
        return nil
    }

    private static func role(of name: String) -> (stem: String, role: Role)? {
        if let (suffix, role) = roles.first(where: { name.hasSuffix($0.suffix) }) {
            return (String(name.dropLast(suffix.count)), role)
        }
        for (mark, method) in [(".hada_", "LoHa"), (".lokr_", "LoKr"), (".oft_", "OFT"), (".a1.", "GLoRA")] {
            if let range = name.firstRange(of: mark) { return (String(name[..<range.lowerBound]), .other(method)) }
        }
        return nil
    }
}
