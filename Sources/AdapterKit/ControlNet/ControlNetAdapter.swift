import Cascade
import Failures
import JSON
import Layers
import Settings
import Torch

/// A ControlNet as an adapter: its trunk makes a condition's injections for the residual blocks it was trained for.
public final class ControlNetAdapter: Adapter {
    /// Always ``ControlNetKind``.
    public var kind: any AdapterKind { ControlNetKind() }

    /// What makes the injections of a condition.
    public let trunk: ControlNetTrunk
    private let store: ParameterStore
    private let model: AdaptedModel
    /// The filter the condition is made with, and its parameters.
    public let filter: (name: String, parameters: JSON)

    /// - Parameters:
    ///   - trunk: what makes the injections.
    ///   - store: the one that `trunk` was made from.
    ///   - model: whose residual blocks they go into.
    ///   - filter: what conditions are made with, and its parameters.
    public init(
        trunk: ControlNetTrunk, store: ParameterStore, model: AdaptedModel, filter: (name: String, parameters: JSON)
    ) {
        self.trunk = trunk
        self.store = store
        self.model = model
        self.filter = filter
    }

    /// The ControlNet of a native file.
    /// - Throws: a failure of the input where the file does not fit the model.
    convenience init(_ file: AdapterFile, for model: AdaptedModel) throws {
        let (trunk, store) = try ControlNetTrunk.load(
            file, for: model.stageC.configuration, device: model.stageC.store.device)
        self.init(
            trunk: trunk, store: store, model: model,
            filter: (file.weights.metadata["controlnet_filter"] ?? "", try file.described("controlnet_filter_params")))
    }

    /// All parameters of backbone and projections, without the statistics of batch norms.
    public var parameters: [(name: String, tensor: Tensor)] { store.parameters }
    /// True: all parameters are weights of layers.
    public let decays = true

    /// Puts the trunk in the place of the model's ControlNet, of which there is one at a time.
    public func attach() throws { model.controlNet = trunk }

    /// Takes the trunk away; another ControlNet that has its place by now stays.
    public func detach() {
        if model.controlNet === trunk { model.controlNet = nil }
    }

    /// Multiplies each injection; 1 as it was trained.
    public var strength: Double {
        get { trunk.strength }
        set { trunk.strength = newValue }
    }

    /// Fails always: injections depend on the image and cannot become weights.
    public func fuse() throws { throw ControlNetKind.notMergeable() }

    /// Adds the tensors, statistics too, and what makes the trunk and its condition again: channels, blocks, backbone,
    /// filter.
    public func write(to contents: inout AdapterContents) throws {
        let configuration = trunk.configuration
        contents.add(kind: kind.name)
        contents.describe("c_in", .integer(configuration.inputs))
        contents.describe("c_proj", .integer(configuration.projected))
        contents.describe("controlnet_blocks", .array(configuration.blocks.map { .integer($0) }))
        contents.describe("bottleneck_mode", .string(configuration.bottleneckMode.rawValue))
        if configuration.hasOwnTrunk {
            contents.describe("controlnet_backbone", configuration.efficientNet.json)
        }
        contents.describe("controlnet_filter", .string(filter.name))
        contents.describe("controlnet_filter_params", filter.parameters)
        contents.tensors += store.tensors
    }
}

extension ControlNetTrunk {
    /// The ControlNet of a native file, in float32.
    /// - Parameter stageC: the network that it is used with, which need not be there.
    /// - Throws: a failure of the input where the file does not fit it.
    public static func load(
        _ file: AdapterFile, for stageC: StageCConfiguration, device: Device
    ) throws -> (trunk: ControlNetTrunk, store: ParameterStore) {
        let configuration = try Configuration(describedIn: file)
        try stageC.check(controlNetBlocks: configuration.blocks, at: Failure.Place(file.path))
        guard configuration.projected == stageC.hidden[0] else {
            throw Failure.input(
                "the ControlNet is for a Stage C of another width", at: Failure.Place(file.path),
                expected: "\(stageC.hidden[0]) channels (`c_proj`)", got: "\(configuration.projected)")
        }
        let store = ParameterStore(from: StoredParameters(file.weights), device: device)
        let trunk = try ControlNetTrunk(configuration, store.root)
        try store.finish()
        return (trunk, store)
    }
}

extension ControlNetTrunk.Configuration {
    /// The constructor values that a native file carries.
    public init(describedIn file: AdapterFile) throws {
        let place = Failure.Place(file.path)
        let blocks = try file.described("controlnet_blocks").arrayValue?.map(\.intValue) ?? []
        let modeName = file.weights.metadata["bottleneck_mode"] ?? ""
        guard let mode = ControlNetTrunk.BottleneckMode(rawValue: modeName), !blocks.contains(nil), !blocks.isEmpty,
            let inputs = Int(exactly: try file.number("c_in")), let projected = Int(exactly: try file.number("c_proj"))
        else { throw Failure.input("the description of the ControlNet is damaged", at: place) }
        self.init(inputs: inputs, projected: projected, blocks: blocks.compactMap(\.self), bottleneckMode: mode)
        let backbone = try file.described("controlnet_backbone")
        if backbone.objectValue != nil { efficientNet = try Setting(backbone, file: file.path).read() }
    }

    /// Whether the trunk is an EfficientNet of other widths than the published ones'.
    var hasOwnTrunk: Bool { bottleneckMode == .effnet && efficientNet != .init() }
}
