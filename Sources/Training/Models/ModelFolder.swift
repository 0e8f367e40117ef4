import Failures
import Files
import Models

/// Finds a model's folder by its path, or by its hub name in `models/` and in the Hugging Face cache.
enum ModelFolder {
    /// - Throws: a failure of the input that lists every place that was looked at, and the command that gets the model.
    static func find(_ name: String, at place: Failure.Place) throws -> String {
        let (known, folders) = (ModelPlaces(), ModelPlaces().folders(of: name))
        if let found = folders.first(where: { fileExists("\($0)/config.json") }) { return found }
        let looked = folders.count == 2 ? folders + [known.snapshots(of: name)] : folders
        throw Failure.input(
            "there is no model folder for `\(name)`", at: place,
            expected: "config.json in one of \(looked.joined(separator: ", "))",
            advice: PublishedModel.command(toGet: name).map { "get it with: \($0)" }
                ?? "give the path of a folder with config.json and model.safetensors, for a text model the tokenizer's files too"
        )
    }
}
