import Torch

/// What a batch of samples is conditioned on, before the stages' own networks have seen it.
///
/// Stage C uses captions, image embeddings and what a ControlNet sees; Stage B captions and EffNet latents, which may be
/// what Stage C made.
public struct ConditionInputs {
    /// One for each sample.
    public var captions: [String]
    /// CLIP's embeddings of images, [B, 1, c_clip_img]; nil where they all are zeros.
    public var imageEmbeddings: Tensor?
    /// What a ControlNet makes its injections of, [B, c, H, W].
    public var control: Tensor?
    /// What the ControlNet made of it, [B, C, h, w] by residual block, where that is known already.
    public var injections: [Int: Tensor]?
    /// Latents of the EffNet encoder or of Stage C, [B, 16, h, w]; nil where they all are zeros.
    public var effnet: Tensor?

    /// With captions alone; all other conditions are left out.
    public init(captions: [String]) { self.captions = captions }

    /// What guidance leads away from: no caption, no image embedding, no EffNet latents, and the same ControlNet
    /// conditions, as the reference has it.
    public var unconditional: ConditionInputs {
        var inputs = ConditionInputs(captions: captions.map { _ in "" })
        (inputs.control, inputs.injections) = (control, injections)
        return inputs
    }

    /// One of the samples.
    public func sample(_ index: Int) throws -> ConditionInputs {
        func row(_ tensor: Tensor) throws -> Tensor { try tensor.sliced(0, index..<index + 1) }
        var inputs = ConditionInputs(captions: [captions[index]])
        inputs.imageEmbeddings = try imageEmbeddings.map(row)
        inputs.control = try control.map(row)
        inputs.injections = try injections?.mapValues(row)
        inputs.effnet = try effnet.map(row)
        return inputs
    }

    /// Some batches as one; of what is optional each has its part, or none has.
    /// - Parameter others: batches whose ControlNet conditions take the place of their own.
    public static func joined(
        _ batches: [ConditionInputs], controlsOf others: [ConditionInputs]
    ) throws -> ConditionInputs {
        func joined(_ tensors: [Tensor?]) throws -> Tensor? {
            let known = tensors.compactMap(\.self)
            return known.isEmpty ? nil : try .concatenated(known, dimension: 0)
        }
        var inputs = ConditionInputs(captions: batches.flatMap(\.captions))
        inputs.imageEmbeddings = try joined(batches.map(\.imageEmbeddings))
        inputs.effnet = try joined(batches.map(\.effnet))
        inputs.control = try joined(others.map(\.control))
        inputs.injections = try others.first?.injections?.keys.reduce(into: [:]) { injections, block in
            injections[block] = try joined(others.map { $0.injections?[block] })
        }
        return inputs
    }
}
