import Cascade

/// A frozen base with the places at which adapters attach.
public final class AdaptedModel {
    public let stageC: StageC
    public let text: TextEncoder?
    public let base: BaseModel
    /// The ControlNet in use.
    public var controlNet: ControlNetTrunk?

    public init(stageC: StageC, text: TextEncoder?, base: BaseModel) {
        self.stageC = stageC
        self.text = text
        self.base = base
    }
}

/// What is known of the base an adapter belongs to.
public struct BaseModel: Sendable {
    /// `3.6B`, `1B`, `tiny` or the name of an architecture file.
    public let name: String
    /// Of the checkpoint file, in hexadecimal.
    public let sha256: String
    /// The licence that derivatives inherit.
    public let licence: String

    public init(name: String, sha256: String) {
        self.name = name
        self.sha256 = sha256
        licence = ModelSize.isPublished(name) ? Self.possibleLicence : "that of the base"
    }

    /// The licence of an adapter whose base may be the published one.
    public static let possibleLicence =
        "Stability AI non-commercial research community licence, if the base is the published one"
}
