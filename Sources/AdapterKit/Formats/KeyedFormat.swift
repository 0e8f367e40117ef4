/// A format that names its modules: kohya's, ComfyUI's, OneTrainer's, diffusers'.
enum KeyedFormat: CaseIterable {
    case kohya, oneTrainer, comfyUI, diffusers

    /// The format with a method's name before it.
    func foreign(_ method: String, _ title: String) -> ForeignFormat {
        switch self {
        case .kohya: .init("\(method)-kohya", "\(title) as kohya's scripts write it")
        case .oneTrainer: .init("\(method)-onetrainer", "\(title) as OneTrainer writes it")
        case .comfyUI: .init("\(method)-comfyui", "\(title) with ComfyUI's names")
        case .diffusers: .init("\(method)-diffusers", "\(title) as diffusers and PEFT write it")
        }
    }

    /// What stands before the path of a module of Stage C, of the text encoder, and of Stage B.
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

    /// What stands before a matrix's own name in a key, taken apart.
    struct Stem {
        let format: KeyedFormat
        /// Our path; nil where the stem names no module of Stage C or of the text encoder.
        let path: String?
        var isStageB = false
    }

    /// What a stem means in the first format that it fits; nil where it fits none.
    /// - Parameter mayBeBare: whether it may be of diffusers' without any prefix.
    static func stem(_ stem: String, mayBeBare: Bool) -> Stem? {
        for format in allCases {
            let (stageC, text, stageB) = format.prefixes
            if stageB.contains(where: stem.hasPrefix) { return Stem(format: format, path: nil, isStageB: true) }
            for (prefixes, isOfText) in [(text, true), (stageC, false)] {
                guard let prefix = prefixes.first(where: stem.hasPrefix) else { continue }
                if prefix.isEmpty && !mayBeBare { return nil }
                let rest = String(stem.dropFirst(prefix.count))
                let dotted = ModulePath.dotted(ModulePath.underscored(rest))
                let isKnown = dotted.map { format.isUnderscored || $0 == rest } ?? false
                let path = isKnown ? dotted.map(ModulePath.canonical) : nil
                let fits = path.map { ModulePath.isOfText($0) == isOfText || format == .diffusers } ?? false
                return Stem(format: format, path: fits ? path : nil)
            }
        }
        return nil
    }

    /// A key of a method that can't be used, such as DoRA's.
    struct Stranger {
        let key: String
        let method: String
        let format: KeyedFormat
    }

    /// The first of some keys that is in one of these formats and of a method that can't be used.
    static func stranger(among keys: some Sequence<String>, _ marks: [StrangeKey]) -> Stranger? {
        for key in keys {
            for mark in marks {
                guard let stem = mark.stem(of: key), let found = Self.stem(String(stem), mayBeBare: false) else {
                    continue
                }
                return Stranger(key: key, method: found.isStageB ? "Stage B" : mark.method, format: found.format)
            }
        }
        return nil
    }
}
