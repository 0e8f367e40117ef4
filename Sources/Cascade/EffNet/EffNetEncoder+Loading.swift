import Layers
import Torch
import Weights

extension EffNetEncoder {
    /// The encoder in a file, in float32.
    public static func load(_ file: any NamedTensors, device: Device = .cpu) throws -> EffNetEncoder {
        let store = ParameterStore(from: StoredParameters(file, ignoring: BatchStatistics.isCounter), device: device)
        let encoder = try EffNetEncoder(Configuration(), store.root)
        try store.finish()
        return encoder
    }
}
