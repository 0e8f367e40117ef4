import Layers
import Torch

/// The float32 weights that an optimizer steps, beside those of a network whose passes run in another dtype.
///
/// Small steps would be lost in bfloat16's eight bits; the products run several times as fast in it.
struct MasterWeights {
    /// By key, float32.
    let weights: [(name: String, tensor: Tensor)]
    private let working: [Tensor]
    /// Statistics of batch norms, which the passes themselves move.
    private let buffers: [(name: String, tensor: Tensor)]

    /// Makes the parameters of a network trainable.
    /// - Parameter prefix: stands before the names, with a dot.
    init(of store: ParameterStore, named prefix: String) throws {
        try store.setTrainable(true)
        weights = try store.parameters.map {
            ("\(prefix).\($0.name)", try $0.tensor.detached().to(dtype: .float32).cloned())
        }
        working = store.parameters.map(\.tensor)
        buffers = store.entries.filter(\.isBuffer).map { ("\(prefix).\($0.key)", $0.tensor) }
    }

    /// All that a checkpoint keeps of the network.
    var state: [(name: String, tensor: Tensor)] { weights + buffers }

    /// Hands the gradients that a backward pass has left in the network to the weights.
    func takeGradients() throws {
        for ((_, weight), parameter) in zip(weights, working) {
            try weight.setGradient(parameter.gradient()?.to(dtype: .float32))
            try parameter.setGradient(nil)
        }
    }

    /// Gives the network the weights as they are now.
    func publish() throws {
        for ((_, weight), parameter) in zip(weights, working) { try parameter.assign(weight) }
    }
}
