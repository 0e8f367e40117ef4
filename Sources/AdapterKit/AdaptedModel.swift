import Cascade
import Layers

/// A frozen base with the places at which adapters attach.
public final class AdaptedModel {
    /// The Stage C that adapters attach to, frozen.
    public let stageC: StageC
    /// The text encoder with its tokenizer; nil where no adapter of the model needs one.
    public let text: TextEncoder?
    /// What is known of where Stage C comes from.
    public let base: BaseModel
    /// The ControlNet in use.
    public var controlNet: ControlNetTrunk?

    /// A model of networks that are loaded, without a ControlNet.
    public init(stageC: StageC, text: TextEncoder?, base: BaseModel) {
        self.stageC = stageC
        self.text = text
        self.base = base
    }

    /// The networks of the model.
    public var networks: AdaptedNetworks { AdaptedNetworks(model: self) }
}

/// The networks that are there for an adapter: all of a model, or one by itself.
public struct AdaptedNetworks {
    /// Stage C; nil where it is not there.
    public let stageC: StageC?
    /// The text encoder; nil where it is not there.
    public let tower: CLIPTextTower?
    /// The tower with its tokenizer; nil where only the tower is there.
    public let text: TextEncoder?
    /// The model that a ControlNet is put into; nil where networks stand alone.
    let model: AdaptedModel?

    init(model: AdaptedModel) {
        self.model = model
        stageC = model.stageC
        text = model.text
        tower = model.text?.tower
    }

    /// Stage C alone.
    public init(_ stageC: StageC) {
        self.stageC = stageC
        (tower, text, model) = (nil, nil, nil)
    }

    /// A text encoder with its tokenizer.
    public init(_ text: TextEncoder) {
        self.text = text
        tower = text.tower
        (stageC, model) = (nil, nil)
    }

    /// A text encoder alone.
    public init(_ tower: CLIPTextTower) {
        self.tower = tower
        (stageC, text, model) = (nil, nil, nil)
    }

    /// Every product that an adapter can change, Stage C's before the text encoder's.
    var projections: [(path: String, projection: Projection)] {
        (stageC?.store.projections ?? []) + (tower?.projections ?? [])
    }

    /// Whether the network is there in which a module of this path lies.
    func holdsNetwork(of path: String) -> Bool { ModulePath.isOfText(path) ? tower != nil : stageC != nil }
}

/// What is known of the base an adapter belongs to.
public struct BaseModel: Sendable {
    /// `3.6B`, `1B`, `tiny` or the name of an architecture file.
    public let name: String
    /// Of the checkpoint file, in hexadecimal.
    public let sha256: String
    /// The licence that derivatives inherit.
    public let licence: String

    /// - Parameters:
    ///   - name: `3.6B`, `1B`, `tiny` or the name of an architecture file.
    ///   - sha256: of the checkpoint file, in hexadecimal.
    public init(name: String, sha256: String) {
        self.name = name
        self.sha256 = sha256
        licence = ModelSize.isPublished(name) ? Self.possibleLicence : "that of the base"
    }

    /// The licence of an adapter whose base may be the published one.
    public static let possibleLicence =
        "Stability AI non-commercial research community licence, if the base is the published one"
}
