import Failures
import Files
import Foundation

/// Finds a model's folder by its path, or by its hub name in `models/` and in the Hugging Face cache.
enum ModelFolder {
    /// - Throws: a failure of the input that lists every place that was looked at.
    static func find(_ name: String, at place: Failure.Place) throws -> String {
        let environment = ProcessInfo.processInfo.environment
        let cache =
            environment["HF_HOME"].map { "\($0)/hub" }
            ?? "\(environment["HOME"] ?? "")/.cache/huggingface/hub"
        let snapshots = "\(cache)/models--\(name.replacingOccurrences(of: "/", with: "--"))/snapshots"
        var places = [name, "models/\(name)"]
        places += ((try? Folder.names(snapshots)) ?? []).map { "\(snapshots)/\($0)" }
        if let found = places.first(where: { fileExists("\($0)/config.json") }) { return found }
        throw Failure.input(
            "there is no model folder for `\(name)`", at: place,
            expected:
                "config.json in one of \(places.joined(separator: ", "))\(places.count == 2 ? ", \(snapshots)" : "")",
            advice:
                "give the path of a folder with config.json and model.safetensors, for a text model the tokenizer's files too"
        )
    }
}
