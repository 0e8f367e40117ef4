import Layers

/// The names that other programs give to tensors of the official checkpoints.
///
/// Sources: diffusers, `convert_stable_cascade_unet_single_file_to_diffusers` and `PaellaVQModel`; ComfyUI,
/// `supported_models.Stable_Cascade_C`.
struct KeyRules {
    let part: ModelPart

    /// A key of the file, without what stands before it, in the official checkpoint.
    struct Official: Equatable {
        var key: String
        /// Which third of the official rows it is: 0 query, 1 key, 2 value.
        var third: Int?
        var isTransposed = false
    }

    /// - Returns: nil for a constant that belongs to no network.
    func official(_ key: String) -> Official? {
        if key.hasSuffix(".position_ids") || key == "logit_scale" { return nil }
        switch part {
        case .stageC: return attention(key)
        case .stageB:
            guard let rest = key.without(prefix: "clip_txt_pooled_mapper.") else { return attention(key) }
            return Official(key: "clip_mapper." + rest)
        case .stageA:
            guard let rest = key.without(prefix: "vquantizer.embedding.") else { return Official(key: key) }
            return Official(key: "vquantizer.codebook." + rest)
        case .effnet:
            if key.hasPrefix("classifier.") { return nil }
            guard let rest = key.without(prefix: "features.") else { return Official(key: key) }
            return Official(key: "backbone." + rest)
        case .clipText where key == "text_projection":
            return Official(key: "text_projection.weight", isTransposed: true)
        case .clipVision where key == "visual_projection":
            return Official(key: "visual_projection.weight", isTransposed: true)
        case .previewer, .controlNet, .clipText, .clipVision: return Official(key: key)
        }
    }

    /// diffusers' `attention.to_q.weight` and ComfyUI's `attention.attn.to_q.weight` to `attention.attn.in_proj_weight`.
    private func attention(_ key: String) -> Official {
        guard let (start, rest) = key.cut(at: ".attention.") else { return Official(key: key) }
        let block = start + ".attention.attn."
        if let end = rest.without(prefix: "to_out.0.") { return Official(key: "\(block)out_proj.\(end)") }
        let own = rest.without(prefix: "attn.") ?? rest
        for (third, name) in Attention.thirds.enumerated() {
            if let end = own.without(prefix: name + ".") {
                return Official(key: "\(block)in_proj_\(end)", third: third)
            }
        }
        return Official(key: key)
    }

    /// What an official key is called in a layout: what to look for in a file that lacks it.
    func stored(_ key: String, in layout: Layout) -> String {
        switch (part, layout) {
        case (.stageC, .diffusers), (.stageB, .diffusers), (.stageC, .comfyUI), (.stageB, .comfyUI):
            if layout == .diffusers, let rest = key.without(prefix: "clip_mapper.") {
                return "clip_txt_pooled_mapper." + rest
            }
            guard let (start, rest) = key.cut(at: ".attention.attn.") else { return key }
            let block = start + (layout == .diffusers ? ".attention." : ".attention.attn.")
            if let end = rest.without(prefix: "in_proj_") { return "\(block)to_{q,k,v}.\(end)" }
            guard layout == .diffusers, let end = rest.without(prefix: "out_proj.") else { return key }
            return "\(block)to_out.0.\(end)"
        case (.stageA, .diffusers):
            guard let rest = key.without(prefix: "vquantizer.codebook.") else { return key }
            return "vquantizer.embedding." + rest
        case (.effnet, .torchvision):
            guard let rest = key.without(prefix: "backbone.") else { return key }
            return "features." + rest
        default: return key
        }
    }
}

extension String {
    /// What follows a prefix; nil where this does not begin with it.
    func without(prefix: String) -> String? { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil }

    /// What stands before and behind the first `separator`, both not empty.
    fileprivate func cut(at separator: String) -> (String, String)? {
        var start = startIndex
        while let dot = self[start...].firstIndex(of: ".") {
            let rest = self[dot...]
            if dot != startIndex, rest.hasPrefix(separator) {
                return (String(self[..<dot]), String(rest.dropFirst(separator.count)))
            }
            start = index(after: dot)
        }
        return nil
    }
}
