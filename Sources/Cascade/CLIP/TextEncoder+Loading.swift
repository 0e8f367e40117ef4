import Failures
import JSON
import Layers
import Torch

extension TextEncoder {
    /// The text tower and tokenizer in a folder of transformers' layout, its weights in any of that layout's files.
    /// - Parameter dtype: what the tower's weights are kept in.
    /// - Throws: a failure of the input that names the file that is missing or does not fit.
    public static func load(
        folder: String, dtype: DType = .float32, device: Device = .cpu
    ) throws -> TextEncoder {
        let configuration = try CLIPTextConfiguration(
            JSON.read("\(folder)/config.json"), file: "\(folder)/config.json")
        let weights = try Checkpoint(folder).tensors(of: .clipText)
        let store = ParameterStore(
            from: StoredParameters(weights, ignoring: CLIPTextTower.ignores), dtype: dtype, device: device)
        let tower = try CLIPTextTower(configuration, store.root)
        try store.finish()
        return TextEncoder(tower: tower, tokenizer: try CLIPTokenizer(folder: folder))
    }
}
