import Weights

/// Where in a file a part begins: what stands before its keys, told from a key that only this part has.
struct PartRoot {
    let part: ModelPart
    /// What stands before each of its keys: nothing, `model.diffusion_model.`, `module.`, …
    let prefix: String
    /// The name in the file that gave the part away.
    let evidence: String
    /// What the file leaves out of the official keys: `text_model.` where a tower was saved without its projection.
    var omitted = ""

    /// The parts of a file, and those of a kind that was found before, such as averaged weights beside the others.
    static func find(in file: any NamedTensors) -> (used: [PartRoot], passedOver: [PartRoot]) {
        var (used, passedOver): ([PartRoot], [PartRoot]) = ([], [])
        for (ending, part) in markers {
            for root in file.entries.compactMap({ Self.root($0.name, ending, part, in: file) }) {
                guard let first = used.first(where: { $0.part == part }) else {
                    used.append(root)
                    continue
                }
                if !([first] + passedOver).contains(where: { $0.part == part && $0.prefix == root.prefix }) {
                    passedOver.append(root)
                }
            }
        }
        return (used, passedOver)
    }

    /// The root of `part` where a name with this ending gives it away.
    private static func root(
        _ name: String, _ ending: String, _ part: ModelPart, in file: any NamedTensors
    ) -> PartRoot? {
        guard name.hasSuffix(ending) else { return nil }
        let prefix = String(name.dropLast(ending.count))
        guard prefix.isEmpty || prefix.hasSuffix(".") else { return nil }
        func has(_ key: String) -> Bool { file[prefix + key] != nil }
        switch part {
        case .stageB where ending.hasPrefix("clip_txt"):
            if ["clip_txt_mapper.weight", "clip_img_mapper.weight"].contains(where: has) { return nil }
        case .effnet:
            if has("projections.0.0.weight") { return nil }
            if ending.hasPrefix("mapper") && !has("backbone.0.0.weight") { return nil }
        case .controlNet where !file.entries.contains { $0.name.hasPrefix(prefix + "backbone.") }: return nil
        case .clipText: return tower(part, prefix, name, "text_model.")
        case .clipVision: return tower(part, prefix, name, "vision_model.")
        default: break
        }
        return PartRoot(part: part, prefix: prefix, evidence: name)
    }

    private static func tower(_ part: ModelPart, _ prefix: String, _ name: String, _ top: String) -> PartRoot {
        prefix.hasSuffix(top)
            ? PartRoot(part: part, prefix: String(prefix.dropLast(top.count)), evidence: name)
            : PartRoot(part: part, prefix: prefix, evidence: name, omitted: top)
    }

    private static let markers: [(ending: String, part: ModelPart)] = [
        ("clip_txt_mapper.weight", .stageC),
        ("clip_img_mapper.weight", .stageC),
        ("clip_mapper.weight", .stageB),
        ("clip_txt_pooled_mapper.weight", .stageB),
        ("vquantizer.codebook.weight", .stageA),
        ("vquantizer.embedding.weight", .stageA),
        ("mapper.0.weight", .effnet),
        ("features.0.0.weight", .effnet),
        ("blocks.24.weight", .previewer),
        ("projections.0.0.weight", .controlNet),
        ("final_layer_norm.weight", .clipText),
        ("post_layernorm.weight", .clipVision),
    ]
}
