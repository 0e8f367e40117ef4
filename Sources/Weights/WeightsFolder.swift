import Failures
import Files

/// Finds the weights in a folder as diffusers and transformers lay it out: `config.json` and, beside it,
/// `diffusion_pytorch_model` or `model`, whole or in shards.
public enum WeightsFolder {
    /// The file that holds a folder's weights, or the index of the files that do.
    ///
    /// Safetensors go before torch files, files without a variant before those with one (`.bf16.`).
    /// - Throws: a failure of the input that says what lies there where it is none or not one.
    public static func weights(in folder: String) throws -> String {
        let names = try Folder.names(folder)
        let indices = names.filter { $0.contains(".index.") && $0.hasSuffix(".json") }
        // Shards belong to their index and are no weights of their own.
        let files = names.filter { name in
            endings.contains { name.hasSuffix($0) } && !name.contains("-of-")
        }
        for ending in endings {
            // A variant stands before the ending of a file, and before or behind `index` of an index.
            let plain = stems.map { $0 + ending }
            let candidates = files.filter { $0.hasSuffix(ending) } + indices.filter { $0.contains(ending) }
            for name in plain.flatMap({ [$0, $0 + ".index.json"] }) where candidates.contains(name) {
                return "\(folder)/\(name)"
            }
            if candidates.count == 1 { return "\(folder)/\(candidates[0])" }
            if candidates.count > 1 {
                throw Failure.input(
                    "the folder holds several files of weights", at: Failure.Place(folder),
                    got: candidates.joined(separator: ", "), advice: "name the one that is meant")
            }
        }
        let folders = names.filter { fileExists("\(folder)/\($0)/config.json") }
        throw Failure.input(
            "there are no weights in the folder", at: Failure.Place(folder),
            expected: "diffusion_pytorch_model.safetensors, model.safetensors, their index or .bin",
            got: names.isEmpty ? "an empty folder" : nil,
            advice: folders.isEmpty ? nil : "name one of its folders: \(folders.joined(separator: ", "))")
    }

    private static let stems = ["diffusion_pytorch_model", "model", "pytorch_model"]
    private static let endings = [".safetensors", ".bin"]
}
