import Failures
import JSON
import Layers
import Torch

/// An adapter that changes single products of a model by a method's matrices: LoRA and its relatives.
public final class ModuleAdapter<Method: ModuleMethod>: Adapter {
    /// The filters by which the modules were selected; empty where a file does not say.
    public let selection: ModuleSelection
    /// Modules of a network that is not here, by their number; nil where all are in use.
    public let leftOut: String?
    private let layers: [ModuleLayer<Method>]
    /// Share of each module's input that dropout takes away.
    var dropout = 0.0

    /// The method's kind.
    public var kind: any AdapterKind { Method.kind }

    /// A new adapter on the modules that the filters select.
    public convenience init(
        _ method: Method, on selection: ModuleSelection, of model: AdaptedModel, generator: Generator
    ) throws {
        self.init(try Self.layers(method, on: selection.modules(of: model), of: model, generator), on: selection)
    }

    /// The adapter of a native file, with further modules that are new.
    convenience init(
        _ file: AdapterFile, adding modules: [(path: String, projection: Projection)], _ method: Method,
        on selection: ModuleSelection, of model: AdaptedModel, generator: Generator
    ) throws {
        let old = try ModuleAdapter(file, on: model.networks)?.layers ?? []
        self.init(old + (try Self.layers(method, on: modules, of: model, generator)), on: selection)
    }

    private static func layers(
        _ method: Method, on modules: [(path: String, projection: Projection)], of model: AdaptedModel,
        _ generator: Generator
    ) throws -> [ModuleLayer<Method>] {
        let device = model.stageC.store.device
        return try modules.map { path, projection in
            let shape = ModuleShape(path, projection)
            return try ModuleLayer<Method>(
                path: path, projection: projection,
                matrices: method.start(shape).map { try $1.draw($0, from: generator).to(device: device) },
                alpha: method.alpha(for: shape))
        }
    }

    private init(_ layers: [ModuleLayer<Method>], on selection: ModuleSelection, leftOut: String? = nil) {
        self.layers = layers
        self.selection = selection
        self.leftOut = leftOut
    }

    // MARK: Changing the model

    /// The method's matrices of each module, float32, in the order of the modules.
    public var parameters: [(name: String, tensor: Tensor)] {
        layers.flatMap { layer in zip(Method.matrices, layer.matrices).map { (Method.key(layer.path, $0), $1) } }
    }

    /// True: the matrices are weights.
    public let decays = true

    /// Multiplies what each module adds; 1 as it was trained.
    public var strength = 1.0 {
        didSet { for layer in layers { layer.strength = strength } }
    }

    /// Adds each layer to its product, beside others that are attached there.
    public func attach() throws { for layer in layers { layer.projection.attach(layer) } }

    /// Takes each layer from its product.
    public func detach() { for layer in layers { layer.projection.detach(layer) } }

    /// Each module drops numbers of its own input; without a rate in the configuration nothing is dropped.
    public func setDropout(_ draws: Draws?) {
        let draws = dropout > 0 ? draws : nil
        for (position, layer) in layers.enumerated() {
            layer.dropout = draws.map { Dropout(rate: dropout, draws: $0, .adapter, position: position) }
        }
    }

    /// Writes the changed weight of each module in the place of the frozen one.
    public func fuse() throws {
        precondition(layers.allSatisfy { !$0.projection.isAttached($0) }, "fused while attached")
        for layer in layers { try layer.fuse() }
    }

    // MARK: The file

    /// Adds the matrices, with their ranks, alphas and the filters that selected the modules.
    public func write(to contents: inout AdapterContents) throws {
        contents.add(kind: Method.name)
        ModuleMatrices.describe(layers.map { ($0.path, $0.rank, $0.alpha) }) { contents.describe($0, $1) }
        contents.describe(ModuleSelection.key, .array(selection.filters.map(JSON.string)))
        if !selection.textFilters.isEmpty {
            contents.describe(ModuleSelection.textKey, .array(selection.textFilters.map(JSON.string)))
        }
        contents.tensors += parameters
    }

    /// The adapter of a native file on the networks that are there; nil where it has no module for any of them.
    /// - Throws: a failure of the input where the file's modules do not fit.
    public convenience init?(_ file: AdapterFile, on networks: AdaptedNetworks) throws {
        let stored = try ModuleMatrices.all(of: Method.self, in: file)
        let here = stored.filter { networks.holdsNetwork(of: $0.path) }
        if here.isEmpty { return nil }
        let known = Dictionary(networks.projections.map { ($0.path, $0.projection) }) { first, _ in first }
        let strange = here.map(\.path).filter { known[$0] == nil }
        let place = Failure.Place(file.path)
        // Of an adapter for a base of another width, the two widths tell more than the modules that only it has.
        for stored in here {
            if let projection = known[stored.path] { try Self.check(stored, fits: projection, at: place) }
        }
        guard strange.isEmpty else {
            throw Failure.input(
                "the \(Method.title) has \(strange.count) modules that this network has not", at: place,
                expected: "modules of the base it was trained on",
                got: strange.sorted().prefix(4).joined(separator: ", "))
        }
        let layers = try here.compactMap { stored -> ModuleLayer<Method>? in
            guard let projection = known[stored.path] else { return nil }
            let device = projection.weight.device
            // Copies: what is trained must not be a view of the file.
            return try ModuleLayer(
                path: stored.path, projection: projection,
                matrices: stored.tensors.map { try $0().to(dtype: .float32).cloned().to(device: device) },
                alpha: stored.alpha)
        }
        let count = stored.count - here.count
        let missing = networks.stageC == nil ? "Stage C" : "the text encoder"
        self.init(
            layers, on: try ModuleSelection(describedIn: file),
            leftOut: count == 0 ? nil : "\(count) modules of \(missing)")
    }

    private static func check(
        _ stored: ModuleMatrices, fits projection: Projection, at place: Failure.Place
    ) throws {
        let shapes = stored.tensors.map(\.shape)
        let expected = zip(Method.matrices, shapes).map { matrix, shape in
            zip(matrix.axes, shape).map { axis, size in
                switch axis {
                case .outputs: projection.outputs
                case .inputs: projection.inputs
                case .rank: size
                }
            }
        }
        guard expected == shapes else {
            throw Failure.input(
                "the \(Method.title) of `\(stored.path)` does not fit this network", at: place,
                expected: "shapes \(expected.map { "\($0)" }.joined(separator: " and "))",
                got: shapes.map { "\($0)" }.joined(separator: " and "))
        }
    }
}
