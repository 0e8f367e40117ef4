/// The constructor values of Stage C, with the reference's defaults, and those of the networks that belong to it.
public struct StageCConfiguration: StageConfiguration {
    public static let stage = "stage C"

    public var inputs = 16
    public var outputs = 16
    public var timeWidth = 64
    public var patchSize = 1
    public var conditionWidth = 2048
    public var hidden = [2048, 2048]
    public var heads = [32, 32]
    public var blocks = [[8, 24], [24, 8]]
    public var blockRepeat = [[1, 1], [1, 1]]
    public var levelConfiguration = ["CTA", "CTA"]
    /// Width of the text's tokens, `c_clip_text`.
    public var clipTextWidth = 1280
    /// Width of the pooled text, `c_clip_text_pooled`.
    public var clipTextPooledWidth = 1280
    /// Width of an image's embedding, `c_clip_img`.
    public var clipImageWidth = 768
    public var clipSequence = 4
    public var kernelSize = 3
    public var selfAttention = [true, true]
    public var timeConditions = ["sca", "crp"]
    public var switchLevel: [Bool]? = [false]
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

    public var conditionWidths: [(key: String, width: Int)] {
        [
            ("c_clip_text", clipTextWidth), ("c_clip_text_pooled", clipTextPooledWidth),
            ("c_clip_img", clipImageWidth),
        ]
    }
}
