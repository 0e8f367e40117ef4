import AdapterKit
import Cascade
import Failures
import Generation
import Layers
import Settings
import Torch
import Weights

/// One part of the model that `forward` runs.
protocol ForwardModule {
    /// The tensors that come out, by name.
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)]
}

/// What `forward` is asked.
struct ForwardRequest {
    let inputs: ForwardInputs
    /// The architecture file; nil where there is none.
    let arch: Setting?
    let weights: (any NamedTensors)?
    let adapters: [AdapterReference]
    /// Of the network's parameters.
    let dtype: DType
    /// Of its matrices, where they are kept otherwise.
    let baseDType: BaseDType?
    let device: Device
    let wantsGradients: Bool
    /// Of what is drawn.
    let seed: UInt64
    let output: Output
    let plugIns: PlugIns

    /// What Stage B and C compute in: the parameters' dtype, or float32 where the processor is slow at bfloat16, as in
    /// training.
    var computeDType: DType { device == .cpu && !Processor.isFastAtBFloat16 ? .float32 : dtype }

    /// How the matrices of a part are kept.
    func matrices(_ part: ModelPart) throws -> MatrixStorage? {
        var files = ModelFiles()
        files.baseDType = baseDType
        return try ModelLoading(files).matrices(part, of: weights)
    }

    /// The weights, which this part can't do without.
    func requiredWeights() throws -> any NamedTensors {
        guard let weights else { throw Failure.input("there are no weights", expected: "--weights FILE") }
        return weights
    }

    /// Attaches the adapters of the request's files, and says what of them has no place in a part.
    func attachAdapters(
        to networks: AdaptedNetworks, of part: String, _ reading: AdapterReading = .init()
    ) throws -> [any Adapter] {
        var attached: [any Adapter] = []
        for reference in adapters {
            let file = try plugIns.open(reference.path, reading)
            let (found, leftOut) = try plugIns.adapters(in: file, for: networks)
            if !leftOut.isEmpty {
                output.note("\(file.path): \(leftOut.joined(separator: ", ")): no place in \(part), left out")
            }
            for adapter in found {
                adapter.strength = reference.strength
                try adapter.attach()
            }
            attached += found
        }
        return attached
    }

    /// A network with the weights of the request.
    /// - Parameters:
    ///   - part: which it is, where its matrices may be kept otherwise than the rest.
    ///   - dtype: of its parameters; the request's where none is given.
    /// - Throws: a failure of the input that lists the weights that are missing, unexpected or mis-shaped.
    func network<Network>(
        _ part: ModelPart? = nil, ignoring: @escaping (String) -> Bool = { _ in false }, dtype: DType? = nil,
        _ make: (Scope) throws -> Network
    ) throws -> (network: Network, store: ParameterStore) {
        let source = StoredParameters(try requiredWeights(), ignoring: ignoring)
        let store = ParameterStore(
            from: source, dtype: dtype ?? self.dtype, matrices: try part.flatMap(matrices), device: device)
        let network = try make(store.root)
        try store.finish()
        return (network, store)
    }
}

/// A loss and the gradients of what it depends on.
struct LossAndGradients {
    let loss: Tensor
    let parameters: [(name: String, tensor: Tensor)]

    /// `loss`, and `grad.KEY` of every parameter; zeros for one that the loss does not depend on.
    func results() throws -> [(name: String, tensor: Tensor)] {
        try loss.backward()
        return [("loss", loss)]
            + (try parameters.map { ("grad.\($0.name)", try $0.tensor.gradient() ?? .zeros($0.tensor.shape)) })
    }
}
