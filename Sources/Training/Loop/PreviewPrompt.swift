import Images
import Settings

/// What previews sample in place of a caption: a text, or a mapping with `prompt` and what else is its own.
public struct PreviewPrompt: SettingReadable, Sendable {
    /// The caption that is sampled.
    public var prompt: String
    /// What guidance leads away from.
    public var negative = ""
    /// Of the image, as `generate` would make it; nil samples as many latents as the samples have.
    public var size: ImageSize?
    /// Nil draws what belongs to the sample above it.
    public var seed: UInt64?
    /// `cfg`, the strength of the guidance; nil takes that of all previews.
    public var guidance: Double?
    /// From 1 to 1000; nil takes `preview_steps`.
    public var steps: Int?

    /// What a message says was expected of an entry.
    public static var expectation: String {
        "a text, or a mapping with `prompt` and of `negative`, `size`, `seed`, `cfg` and `steps` what is its own"
    }

    /// Reads a text, or a mapping all of whose keys are known.
    public static func read(_ setting: Setting) throws -> PreviewPrompt {
        guard setting.members != nil else {
            guard let text = setting.text else { throw setting.refusal(expected: expectation) }
            return PreviewPrompt(prompt: text)
        }
        var fields = try setting.fields()
        var prompt = PreviewPrompt(prompt: try fields.required("prompt"))
        prompt.negative = try fields.value("negative", default: "")
        let sides = ImageSize.sides
        prompt.size = try fields.optional(
            "size", as: [Int].self,
            Requirement("with width and height from \(sides.lowerBound) to \(sides.upperBound)") {
                $0.count == 2 && $0.allSatisfy(sides.contains)
            }
        ).map { ImageSize(width: $0[0], height: $0[1]) }
        prompt.seed = try fields.optional("seed", .atLeast(0)).map { (seed: Int) in UInt64(seed) }
        prompt.guidance = try fields.optional("cfg", .finite)
        prompt.steps = try fields.optional("steps", .within(1...1000))
        try fields.finish()
        return prompt
    }
}
