import Failures
import JSON
import Layers
import Weights

extension TextEncoder {
    /// The text tower and tokenizer in a folder of transformers' layout, in float32.
    /// - Throws: a failure of the input that names the file that is missing or does not fit.
    public static func load(folder: String) throws -> TextEncoder {
        let configuration = try CLIPTextConfiguration(
            JSON.read("\(folder)/config.json"), file: "\(folder)/config.json")
        let store = ParameterStore(
            from: StoredParameters(
                try SafetensorsFile("\(folder)/model.safetensors"), ignoring: CLIPTextTower.ignores))
        let tower = try CLIPTextTower(configuration, store.root)
        try store.finish()
        return TextEncoder(tower: tower, tokenizer: try CLIPTokenizer(folder: folder))
    }
}
