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

    /// The parts of a file. A second one of a kind, such as averaged weights beside the others, is passed over.
    static func find(in file: any NamedTensors) -> [PartRoot] {
        var found: [PartRoot] = []
        for entry in file.entries {
            guard let root = root(at: entry.name, in: file), !found.contains(where: { $0.part == root.part }) else {
                continue
            }
            found.append(root)
        }
        return found
    }

    /// The root that this name gives away; nil where it gives away none.
    private static func root(at name: String, in file: any NamedTensors) -> PartRoot? {
        for (ending, part) in markers where name.hasSuffix(ending) {
            let prefix = String(name.dropLast(ending.count))
            guard prefix.isEmpty || prefix.hasSuffix(".") else { continue }
            func has(_ key: String) -> Bool { file[prefix + key] != nil }
            switch part {
            case .stageB
            where ending.hasPrefix("clip_txt")
                && ["clip_txt_mapper.weight", "clip_img_mapper.weight"].contains(where: has),
                .effnet where ending.hasPrefix("mapper") && !has("backbone.0.0.weight"),
                .effnet where has("projections.0.0.weight"),
                .controlNet where !file.entries.contains { $0.name.hasPrefix(prefix + "backbone.") }:
                continue
            case .clipText: return tower(part, prefix, name, "text_model.")
            case .clipVision: return tower(part, prefix, name, "vision_model.")
            default: return PartRoot(part: part, prefix: prefix, evidence: name)
            }
        }
        return nil
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
