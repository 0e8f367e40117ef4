import Files

/// The checkpoints of Stable Cascade and the towers that they were trained with.
extension PublishedModel {
    private static func official(
        _ name: String, _ file: String, _ megabytes: Int?, _ description: String
    ) -> PublishedModel {
        PublishedModel(
            name: name, description: description,
            source: .hubFile(repository: "stabilityai/stable-cascade", file: file + ".safetensors"),
            licence: "Stability AI non-commercial research community licence", megabytes: megabytes)
    }

    /// The encoder of Stage C's latents, which a filter takes too.
    public static let effnet = official("effnet", "effnet_encoder", 82, "encoder of Stage C's latents")

    /// What every program knows, in the order in which it is listed.
    public static let official: [PublishedModel] = [
        official("stage-a", "stage_a", 74, "Stage A, the decoder to pixels"),
        official("previewer", "previewer", 18, "small images from Stage C's latents"),
        effnet,
        official("stage-b", "stage_b", 6250, "Stage B 3B, float32"),
        official("stage-b-bf16", "stage_b_bf16", 3130, "Stage B 3B, bfloat16"),
        official("stage-b-lite", "stage_b_lite", 2800, "Stage B 700M, float32"),
        official("stage-b-lite-bf16", "stage_b_lite_bf16", 1400, "Stage B 700M, bfloat16"),
        official("stage-c", "stage_c", 14400, "Stage C 3.6B, float32"),
        official("stage-c-bf16", "stage_c_bf16", 7180, "Stage C 3.6B, bfloat16"),
        official("stage-c-lite", "stage_c_lite", 4120, "Stage C 1B, float32"),
        official("stage-c-lite-bf16", "stage_c_lite_bf16", 2060, "Stage C 1B, bfloat16"),
        official("controlnet-canny", "controlnet/canny", nil, "ControlNet on edges, for 3.6B"),
        official("controlnet-inpainting", "controlnet/inpainting", nil, "ControlNet for in- and outpainting, for 3.6B"),
        official(
            "controlnet-super-resolution", "controlnet/super_resolution", nil, "ControlNet that enlarges, for 3.6B"),
        PublishedModel(
            name: "clip-text", description: "CLIP text encoder and tokenizer",
            source: .hubFolder(repository: "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"), licence: "MIT",
            megabytes: 10_160),
        PublishedModel(
            name: "clip-image", description: "CLIP image encoder",
            source: .hubFolder(repository: "openai/clip-vit-large-patch14"), licence: "MIT, as CLIP's code",
            megabytes: 1710),
        Miniature.model,
    ]

    /// The command that gets the official file or folder that a configuration names, or any folder of the hub, where
    /// there is one: known by the file's name, or by its name on the hub.
    public static func command(toGet path: String) -> String? {
        let fileName = lastComponent(of: path)
        if let model = official.first(where: { model in
            switch model.source {
            case .hubFile: model.place == fileName
            case .hubFolder(let repository): repository == path
            case .web, .package, .byHand, .shipped: false
            }
        }) {
            let isInPlace = path == "models/\(model.place)" || path == model.place
            return model.command(putting: isInPlace ? nil : path)
        }
        // A file that a folder in its place lacks.
        for model in official {
            if case .hubFolder(let repository) = model.source, path.hasPrefix("models/\(repository)/") {
                return "cascade-adapt models get \(repository)"
            }
        }
        return Hub.isRepository(path) ? "cascade-adapt models get \(path)" : nil
    }
}
