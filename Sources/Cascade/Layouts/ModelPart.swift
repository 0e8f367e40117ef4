/// The networks of Stable Cascade that files of weights hold.
public enum ModelPart: String, CaseIterable, Sendable {
    /// The network that turns text into latents at 1/32 of an image's sides.
    case stageC = "stage-c"
    /// The network that turns Stage C's latents into those of Stage A.
    case stageB = "stage-b"
    /// The decoder of latents at a fourth of an image's sides, with its encoder.
    case stageA = "stage-a"
    /// The encoder that makes Stage C's latents of images.
    case effnet
    /// The decoder that shows Stage C's latents as small images.
    case previewer
    /// A network that adds features of a condition to Stage C.
    case controlNet = "controlnet"
    /// OpenCLIP's ViT-bigG text encoder, of which both stages get captions.
    case clipText = "clip-text"
    /// The ViT-L/14 image encoder, of which Stage C gets image prompts.
    case clipVision = "clip-vision"

    /// For people.
    public var description: String {
        switch self {
        case .stageC: "Stage C"
        case .stageB: "Stage B"
        case .stageA: "Stage A"
        case .effnet: "EffNet encoder"
        case .previewer: "previewer"
        case .controlNet: "ControlNet"
        case .clipText: "CLIP text encoder"
        case .clipVision: "CLIP image encoder"
        }
    }

    /// What the keys of its official checkpoint begin with.
    var topNames: Set<String> {
        switch self {
        case .stageC, .stageB:
            [
                "clip_txt_mapper", "clip_txt_pooled_mapper", "clip_img_mapper", "clip_mapper", "effnet_mapper",
                "pixels_mapper", "embedding", "down_blocks", "down_downscalers", "down_repeat_mappers", "up_blocks",
                "up_upscalers", "up_repeat_mappers", "clf",
            ]
        case .stageA: ["in_block", "down_blocks", "vquantizer", "up_blocks", "out_block"]
        case .effnet: ["backbone", "mapper"]
        case .previewer: ["blocks"]
        case .controlNet: ["backbone", "projections"]
        case .clipText: ["text_model", "text_projection"]
        case .clipVision: ["vision_model", "visual_projection"]
        }
    }
}

/// Who names tensors like this.
public enum Layout: String, CaseIterable, Sendable {
    /// The official release, and who keeps its names (kohya's scripts).
    case reference
    /// diffusers: `to_q`, `to_k` and `to_v` apart, and a Stage B with names of its own.
    case diffusers
    /// transformers: the two towers of CLIP.
    case transformers
    /// ComfyUI: prefixes, and attention's q, k and v apart under `attention.attn`.
    case comfyUI = "comfyui"
    /// torchvision's EfficientNetV2.
    case torchvision
}

/// Where a tensor of a file belongs in the official checkpoint of its part.
///
/// Official names are the reference's for the networks of Stable Cascade, transformers' for the CLIP towers.
public struct TensorPlace: Equatable, Sendable {
    /// The network that the tensor belongs to.
    public let part: ModelPart
    /// In the official checkpoint of the part.
    public let key: String
    /// The rows of the official tensor that the stored one is, where it is a block of them: diffusers' `to_k` in
    /// `in_proj_weight`. Nil where it is the whole.
    public let rows: Range<Int>?
    /// Whether the stored tensor is the transpose of the official one.
    public let isTransposed: Bool

    /// A whole tensor as it is stored, unless the arguments say otherwise.
    public init(part: ModelPart, key: String, rows: Range<Int>? = nil, isTransposed: Bool = false) {
        self.part = part
        self.key = key
        self.rows = rows
        self.isTransposed = isTransposed
    }
}
