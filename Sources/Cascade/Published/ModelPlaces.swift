import Files
import Glibc

/// Where models lie on this machine: `models/` and the cache of the Hugging Face hub.
public struct ModelPlaces: Sendable {
    /// The hub's cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME` or in `~/.cache/huggingface`.
    public let cache: String

    /// - Parameter variable: reads the environment; an empty text counts as none.
    public init(variable: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) {
        func value(_ name: String) -> String? { variable(name).flatMap { $0.isEmpty ? nil : $0 } }
        cache =
            value("HF_HUB_CACHE") ?? value("HF_HOME").map { "\($0)/hub" }
            ?? value("XDG_CACHE_HOME").map { "\($0)/huggingface/hub" }
            ?? "\(value("HOME") ?? "")/.cache/huggingface/hub"
    }

    /// The folder of a hub repository's states in the cache.
    public func snapshots(of repository: String) -> String {
        let name = repository.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "--")
        return "\(cache)/models--\(name)/snapshots"
    }

    /// The folders in which a model in transformers' layout is looked for, by its path or its hub name.
    public func folders(of name: String) -> [String] {
        let snapshots = snapshots(of: name)
        return [name, "models/\(name)"] + ((try? Folder.names(snapshots)) ?? []).map { "\(snapshots)/\($0)" }
    }

    /// Where a known model is, file or folder; nil where it is not here whole.
    public func path(of model: KnownModel) -> String? {
        switch model.source {
        case .hubFile(let repository, let file):
            let snapshots = snapshots(of: repository)
            let states = ((try? Folder.names(snapshots)) ?? []).map { "\(snapshots)/\($0)/\(file)" }
            return (["models/\(model.place)"] + states).first(where: fileExists)
        case .hubFolder(let repository): return folders(of: repository).first(where: Self.isWhole)
        case .web: return fileExists("models/\(model.place)") ? "models/\(model.place)" : nil
        case .byHand:
            let path = "models/\(model.place)"
            return fileExists(path) || Folder.isFolder(path) ? path : nil
        }
    }

    /// Whether a folder has a configuration and weights.
    public static func isWhole(_ folder: String) -> Bool {
        fileExists("\(folder)/config.json")
            && ["model.safetensors", "model.safetensors.index.json"].contains { fileExists("\(folder)/\($0)") }
    }
}
