import Diffusion
import Images
import Torch

/// How one stage samples.
public struct StageSampling: Equatable, Sendable {
    /// How many noise levels the sampler goes through, each one pass of the network, or two with guidance.
    public var steps: Int
    /// Strength of the guidance; 1 is none.
    public var guidance: Double
    /// Of the schedule.
    public var shift: Double

    /// - Parameters:
    ///   - steps: at least 1.
    ///   - guidance: its strength; 1 is none.
    ///   - shift: of the schedule, above 0; 1 leaves it as it is.
    public init(steps: Int, guidance: Double, shift: Double) {
        (self.steps, self.guidance, self.shift) = (steps, guidance, shift)
    }

    /// Of Stage C and of Stage B, as the reference's notebooks have them.
    public static let stageC = StageSampling(steps: 20, guidance: 4, shift: 2)
    /// Ten steps with little guidance, for Stage C has settled most of the image.
    public static let stageB = StageSampling(steps: 10, guidance: 1.1, shift: 1)
}

/// The samplers by name.
public enum SamplerName: String, CaseIterable, Sendable {
    /// Ancestral (Ho et al. 2020), without fresh noise (Song et al. 2020), of consistency models (Luo et al. 2023).
    case ddpm, ddim, lcm

    var step: SamplingStep {
        switch self {
        case .ddpm: .ddpm
        case .ddim: .ddim()
        case .lcm: .lcm
        }
    }
}

/// An image to begin with instead of noise.
public struct StartImage {
    /// Of any size; it is fitted to the request's.
    public var image: Image
    /// How much noise is laid over it, above 0 and at most 1; as large a share of the steps is taken.
    public var denoise: Double
    /// What of the image is made anew, of its size; nil makes all of it anew.
    public var mask: Mask?

    /// - Parameters:
    ///   - denoise: above 0 and at most 1; 1 takes all steps.
    ///   - mask: what is made anew, of the image's size; nil makes all of it anew.
    public init(_ image: Image, denoise: Double, mask: Mask? = nil) {
        (self.image, self.denoise, self.mask) = (image, denoise, mask)
    }
}

/// One image to be made.
public struct ImageRequest {
    /// The caption that the image is made of.
    public var prompt: String
    /// What guidance leads away from.
    public var negative = ""
    /// In pixels; sides from 16 to 8192.
    public var size = ImageSize(width: 1024, height: 1024)
    /// Decides all that is drawn for this image.
    public var seed: UInt64 = 0
    /// How the text becomes latents: 20 steps by default.
    public var stageC = StageSampling.stageC
    /// How they become Stage A's latents: 10 steps by default.
    public var stageB = StageSampling.stageB
    /// Of both stages.
    public var sampler = SamplerName.ddpm
    /// The image that Stage C begins with; nil begins with noise.
    public var start: StartImage?
    /// An image whose CLIP embedding Stage C is given.
    public var variation: Image?
    /// Of the pipeline's adapters in their order; nil leaves them as they are.
    public var adapterStrengths: [Double]?
    /// Of the pipeline's ControlNets, likewise.
    public var controlStrengths: [Double]?
    /// The noise that stages begin with, [1, c, h, w] each; nil draws it.
    public var noise: (stageC: Tensor?, stageB: Tensor?)

    /// A square image of 1024 pixels with seed 0, sampled as the reference's notebooks do.
    public init(prompt: String) { self.prompt = prompt }

    /// How many steps Stage C takes.
    var stageCSteps: Int { start.map { max(1, Int(Double(stageC.steps) * $0.denoise)) } ?? stageC.steps }

    /// Whether a batch can hold both.
    func goes(with other: ImageRequest) -> Bool {
        (size, stageC, stageB, sampler) == (other.size, other.stageC, other.stageB, other.sampler)
            && start?.denoise == other.start?.denoise && (start?.mask == nil) == (other.start?.mask == nil)
            && adapterStrengths == other.adapterStrengths && controlStrengths == other.controlStrengths
    }
}

/// An image that was made.
public struct GeneratedImage {
    /// Of its request among all.
    public let index: Int
    /// In the request's size, 8 bits a channel.
    public let image: Image
    /// Stage C's last prediction of its latents without noise, [1, 16, h, w], float32.
    public let stageC: Tensor
    /// Stage B's, [1, 4, h, w]; nil where the previewer showed the image.
    public let stageB: Tensor?
    /// [1, 3, H, W], about 0...1.
    public let pixels: Tensor
    /// What it took, of what several have in common its share.
    public let seconds: Double
}
