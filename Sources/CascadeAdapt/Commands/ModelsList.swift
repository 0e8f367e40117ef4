import ArgumentParser
import JSON
import Models

/// `models list`: the models that are known by name, and whether they are here.
struct ModelsList: Action {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the models that `models get` knows, and where they are.",
        discussion: """
            Models are searched in models/ of the working folder, in the cache of the Hugging Face hub \
            (HF_HUB_CACHE, HF_HOME), and those of Python packages in cascade-adapt/models of XDG_CACHE_HOME or \
            ~/.cache. Download one with: cascade-adapt models get NAME
            """)

    @Flag(help: "Print JSON.")
    var json = false

    func run(in context: Context) throws {
        let models = context.plugIns.models
        if json { return try Output().result(Self.json(of: models)) }
        let places = ModelPlaces()
        let width = models.map(\.name.count).max() ?? 0
        for model in models {
            let path = places.path(of: model)
            let name = model.name + String(repeating: " ", count: width - model.name.count)
            let indent = String(repeating: " ", count: width + 2)
            try Output().result("\(name)  \(model.description)\(model.size.map { ", \($0)" } ?? "")")
            try Output().result("\(indent)from \(model.origin); \(model.licence)")
            try Output().result("\(indent)\(path.map { "here: \($0)" } ?? "not here")")
        }
    }

    static func json(of models: [PublishedModel]) -> JSON {
        let places = ModelPlaces()
        return ["models": .array(models.map { $0.json(path: places.path(of: $0)) })]
    }
}

extension PublishedModel {
    /// About how large, for people.
    fileprivate var size: String? {
        megabytes.map { $0 < 1000 ? "about \($0) MB" : "about \(Double(($0 + 50) / 100) / 10) GB" }
    }

    /// Whence, for people.
    var origin: String {
        switch source {
        case .hubFile(let repository, let file, _): "huggingface.co/\(repository), \(file)"
        case .hubFolder(let repository): "huggingface.co/\(repository)"
        case .web(let address, _): address
        case .package(let package):
            "the Python package \(package.name) \(package.version), \(package.files.map(\.name).joined(separator: ", "))"
        case .byHand(let words): words
        case .shipped: "the program itself"
        }
    }

    fileprivate func json(path: String?) -> JSON {
        let gettable =
            switch source {
            case .byHand, .shipped: false
            case .hubFile, .hubFolder, .web, .package: true
            }
        return [
            "name": .string(name), "description": .string(description), "source": .string(origin),
            "licence": .string(licence),
            "bytes_about": megabytes.map { .integer($0 * 1_000_000) } ?? .null,
            "path": path.map(JSON.string) ?? .null, "here": .bool(path != nil),
            "get": gettable ? .string("cascade-adapt models get \(name)") : .null,
        ]
    }
}
