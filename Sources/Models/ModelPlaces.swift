import Files
import Glibc

/// Where models lie on this machine: `models/`, the cache of the Hugging Face hub, and a cache of what packages ship.
public struct ModelPlaces: Sendable {
    /// The hub's cache: `HF_HUB_CACHE`, else `hub` in `HF_HOME` or in `~/.cache/huggingface`.
    public let cache: String
    /// What `models get` takes out of Python packages: `cascade-adapt/models` in `XDG_CACHE_HOME` or `~/.cache`.
    public let packageCache: String

    /// - Parameter variable: reads the environment; an empty text counts as none.
    public init(variable: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) {
        func value(_ name: String) -> String? { variable(name).flatMap { $0.isEmpty ? nil : $0 } }
        let caches = value("XDG_CACHE_HOME") ?? "\(value("HOME") ?? "")/.cache"
        cache = value("HF_HUB_CACHE") ?? value("HF_HOME").map { "\($0)/hub" } ?? "\(caches)/huggingface/hub"
        packageCache = "\(caches)/cascade-adapt/models"
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

    /// Where a model is, file or folder; nil where it is not here whole.
    public func path(of model: PublishedModel) -> String? {
        paths(of: model).first { model.absent(at: $0).isEmpty }
    }

    /// Where a model is looked for, in this order.
    private func paths(of model: PublishedModel) -> [String] {
        switch model.source {
        case .hubFile(let repository, let file, _):
            let snapshots = snapshots(of: repository)
            let states = ((try? Folder.names(snapshots)) ?? []).map { "\(snapshots)/\($0)/\(file)" }
            return ["models/\(model.place)"] + states
        case .hubFolder(let repository): return folders(of: repository)
        case .package: return ["models/\(model.place)", "\(packageCache)/\(model.place)"]
        case .web, .byHand: return ["models/\(model.place)"]
        case .shipped: return Miniature.folder().map { [$0] } ?? []
        }
    }

    /// The folder in which a model is looked for beside `models/`, for people; nil where there is none.
    public func cache(of model: PublishedModel) -> String? {
        switch model.source {
        case .hubFile(let repository, _, _), .hubFolder(let repository): snapshots(of: repository)
        case .package: "\(packageCache)/\(model.name)"
        case .web, .byHand, .shipped: nil
        }
    }

    /// Whether a folder has a configuration and weights.
    public static func isWhole(_ folder: String) -> Bool {
        fileExists("\(folder)/config.json")
            && ["model.safetensors", "model.safetensors.index.json"].contains { fileExists("\(folder)/\($0)") }
    }
}
