import Layers

/// Paths of modules as the programs write them, and ours.
public enum ModulePath {
    /// Whether a path lies in the text encoder; no module of Stage C begins so.
    public static func isOfText(_ path: String) -> Bool { path.hasPrefix("text_") }

    /// Whether the base keeps a module as a 1x1 convolution, and so do adapter files of its programs.
    static func isConvolution(_ path: String) -> Bool {
        ["embedding.", "clf.", "down_downscalers.", "up_upscalers.", "down_repeat_mappers.", "up_repeat_mappers."]
            .contains(where: path.hasPrefix)
    }

    /// Whether a module's weight is the kernels of a depthwise convolution.
    static func isDepthwise(_ path: String) -> Bool { path.hasSuffix(".depthwise") && !isOfText(path) }

    /// Our path for one with diffusers' names of the attention's projections.
    static func canonical(_ path: String) -> String {
        guard !isOfText(path) else { return path }
        let names = [("to_out.0", "out_proj")] + Attention.thirds.map { ($0, $0) }
        for (theirs, ours) in names where path.hasSuffix("attention.\(theirs)") {
            return "\(path.dropLast(theirs.count))attn.\(ours)"
        }
        return path
    }

    /// diffusers' path for one of ours.
    static func diffusers(_ path: String) -> String {
        guard !isOfText(path) else { return path }
        let renamed = path.hasSuffix(".attn.out_proj") ? path.dropLast("out_proj".count) + "to_out.0" : path
        guard let range = renamed.firstRange(of: ".attention.attn.to_") else { return renamed }
        return renamed[..<range.lowerBound] + ".attention.to_" + renamed[range.upperBound...]
    }

    /// kohya's path for one of ours.
    static func underscored(_ path: String) -> String { String(path.map { $0 == "." ? "_" : $0 }) }

    /// The dotted path that was written with underscores; nil where it has a part that no module has.
    static func dotted(_ underscored: String) -> String? {
        var parts: [Substring] = []
        var rest = underscored[...]
        while !rest.isEmpty {
            guard let part = firstPart(of: rest) else { return nil }
            parts.append(part)
            rest = rest.dropFirst(part.count)
            // What follows a part is an underscore and another part, or nothing.
            if rest.isEmpty { return parts.joined(separator: ".") }
            rest = rest.dropFirst()
            if rest.isEmpty { return nil }
        }
        return nil
    }

    private static func firstPart(of text: Substring) -> Substring? {
        func ends(_ length: Int) -> Bool { text.dropFirst(length).first.map { $0 == "_" } ?? true }
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        if !digits.isEmpty { return ends(digits.count) ? digits : nil }
        if let word = words.first(where: { text.hasPrefix($0) && ends($0.count) }) { return text.prefix(word.count) }
        // The mapper of a time condition has the condition's name, whatever that is, and nothing behind it.
        return text == "mapper" || text.hasPrefix("mapper_") ? text : nil
    }

    /// The parts of paths, longer ones before those they begin with.
    private static let words =
        [
            // Stage C, with diffusers' names of the attention's projections beside the reference's
            "clip_txt_pooled_mapper", "clip_txt_mapper", "clip_img_mapper", "embedding", "clf",
            "down_downscalers", "down_repeat_mappers", "down_blocks", "up_upscalers", "up_repeat_mappers", "up_blocks",
            "channelwise", "depthwise", "attention", "attn", Attention.fused, "out_proj", "to_out", "kv_mapper",
            "blocks",
            // The text encoder
            "text_projection", "text_model", "encoder", "layers", "self_attn", "q_proj", "k_proj", "v_proj", "mlp",
            "fc1", "fc2",
        ] + Attention.thirds
}
