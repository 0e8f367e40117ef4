/// The constructor values of Stage C, with the reference's defaults, and those of the networks that belong to it.
public struct StageCConfiguration: StageConfiguration {
    /// As messages call the network.
    public static let stage = "stage C"

    /// The EffNet encoder's latents have 16 channels, `c_in`.
    public var inputs = 16
    /// The noise in these latents, `c_out`.
    public var outputs = 16
    /// Sines and cosines of a time, `c_r`.
    public var timeWidth = 64
    /// Sides of the squares of latents that become one place of the outermost level, `patch_size`.
    public var patchSize = 1
    /// Numbers of a token of the conditions, `c_cond`.
    public var conditionWidth = 2048
    /// Channels of each level, the outermost first, `c_hidden`.
    public var hidden = [2048, 2048]
    /// Attention heads of each level, `nhead`.
    public var heads = [32, 32]
    /// Blocks of each level going down, then coming up from the innermost, `blocks`.
    public var blocks = [[8, 24], [24, 8]]
    /// How often each row of blocks runs with the same weights, `block_repeat`.
    public var blockRepeat = [[1, 1], [1, 1]]
    /// Letters of each level's blocks, `level_config`: residual, timestep, attention.
    public var levelConfiguration = ["CTA", "CTA"]
    /// Width of the text's tokens, `c_clip_text`.
    public var clipTextWidth = 1280
    /// Width of the pooled text, `c_clip_text_pooled`.
    public var clipTextPooledWidth = 1280
    /// Width of an image's embedding, `c_clip_img`.
    public var clipImageWidth = 768
    /// Tokens made of each pooled text and of each image embedding, `c_clip_seq`.
    public var clipSequence = 4
    /// Side of the depthwise kernels of residual blocks, `kernel_size`.
    public var kernelSize = 3
    /// Whether attention sees the latents' own tokens beside the conditions', by level, `self_attn`.
    public var selfAttention = [true, true]
    /// Time conditions beside the time itself, `t_conds`; left out in a pass they count as 0.
    public var timeConditions = ["sca", "crp"]
    /// Whether the sides halve between two levels, `switch_level`: both levels of the published ones have the same
    /// sides.
    public var switchLevel: [Bool]? = [false]
    /// Share of zeros in training, by level, `dropout`.
    public var dropout = [0.1, 0.1]
    /// What makes the latents of images, `effnet`.
    public var encoder = EffNetEncoder.Configuration()
    /// What shows latents, `previewer`.
    public var previewer = Previewer.Configuration()
    /// The network of mode effnet by which ControlNets on this Stage C see their conditions, `controlnet`.
    public var trunk = EfficientNet.Configuration()
    /// Pixels of a generated image's side for each of the latents', `compression_factor`. The published Stage B makes
    /// images a third larger than those that its latents were encoded from.
    public var compression = 42.67

    /// The reference's defaults, which are the 3.6B's.
    public init() {}

    /// Stage C of 3.6 billion parameters.
    public static let large = StageCConfiguration()

    /// Stage C of 1 billion parameters.
    public static let lite: StageCConfiguration = {
        var lite = StageCConfiguration()
        lite.conditionWidth = 1536
        lite.hidden = [1536, 1536]
        lite.heads = [24, 24]
        lite.blocks = [[4, 12], [12, 4]]
        return lite
    }()

    /// The smallest Stage C that learns something on a laptop in a minute; for trials and the demo.
    public static let tiny: StageCConfiguration = {
        var tiny = StageCConfiguration()
        tiny.conditionWidth = 128
        tiny.hidden = [128, 128]
        tiny.heads = [4, 4]
        tiny.blocks = [[2, 4], [4, 2]]
        tiny.clipTextWidth = 128
        tiny.clipTextPooledWidth = 128
        tiny.clipImageWidth = 64
        return tiny
    }()

    /// The text's tokens, the pooled text and an image's embedding, with the keys of their widths.
    public var conditionWidths: [(key: String, width: Int)] {
        [
            ("c_clip_text", clipTextWidth), ("c_clip_text_pooled", clipTextPooledWidth),
            ("c_clip_img", clipImageWidth),
        ]
    }
}
