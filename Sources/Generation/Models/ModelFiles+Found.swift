import Cascade
import Failures
import Files
import Models

/// Models where `models get` puts them, or in a folder of the user's.
extension ModelFiles {
    /// The models that are here: in `models/` and in the hub's cache, of each the first that is; else where the first
    /// would be.
    public static func installed() -> ModelFiles {
        let places = ModelPlaces()
        return ModelFiles(of: "models") { names in
            let models = names.compactMap { name in PublishedModel.official.first { $0.name == name } }
            return models.lazy.compactMap { places.path(of: $0) }.first
                ?? models.first.map { model in
                    if case .hubFolder(let repository) = model.source { repository } else { "models/\(model.place)" }
                } ?? ""
        }
    }

    /// Whether the miniature is what draws where nothing is named: it is here, and no official Stage C in whatever size.
    public static func isMiniatureStandard() -> Bool {
        let places = ModelPlaces()
        return Miniature.folder() != nil
            && !PublishedModel.official.contains { $0.name.hasPrefix("stage-c") && places.path(of: $0) != nil }
    }

    /// The folder of models that a path, a name in `models/` or the miniature's name stands for.
    public static func root(of folder: String) throws -> String {
        let shipped = folder == Miniature.name ? Miniature.folder() : nil
        guard let root = ([folder, "models/\(folder)"] + [shipped].compactMap(\.self)).first(where: Folder.isFolder)
        else { throw Failure.input("there is no folder of models", at: .init(folder)) }
        return root
    }

    /// The models in a folder, by the names that `models get` gives them, or else by what files hold. Architectures
    /// that fit no known size stand in `stage_c.yaml` and `stage_b.yaml`.
    public init(folder: String) throws {
        let root = try Self.root(of: folder)
        var parts: [ModelPart: String] = [:]
        for name in try Folder.names(root) where name.hasSuffix(".safetensors") {
            let path = "\(root)/\(name)"
            // Of a damaged file its reader will tell.
            for part in (try? Checkpoint(path))?.parts ?? [] where parts[part] == nil { parts[part] = path }
        }
        self.init(of: root) { names in
            let models = names.compactMap { name in PublishedModel.official.first { $0.name == name } }
            let paths = models.map { "\(root)/\($0.place)" } + names.map { "\(root)/\($0)" }
            let named = zip(models + models, paths).first { model, path in
                if case .hubFolder = model.source { fileExists("\(path)/config.json") } else { fileExists(path) }
            }
            if let path = named?.1 ?? names.first.flatMap(Self.part).flatMap({ parts[$0] }) { return path }
            // Towers that are not in it are looked for as everywhere, by their names on the hub.
            if case .hubFolder(let repository) = models.first?.source { return repository }
            return paths.first ?? root
        }
        for (part, name) in [(ModelPart.stageC, "stage_c.yaml"), (.stageB, "stage_b.yaml")]
        where fileExists("\(root)/\(name)") {
            let source = Source(key: "--models", name: "\(root)/\(name)", place: .init("\(root)/\(name)"))
            if part == .stageC { stageC?.architecture = source } else { stageB?.architecture = source }
        }
    }

    private static func part(of name: String) -> ModelPart? {
        ModelPart.allCases.first { name == $0.rawValue || name.hasPrefix($0.rawValue + "-") }
    }

    /// - Parameter path: of the first of some models that is there, by their names.
    private init(of origin: String, _ path: ([String]) -> String) {
        self.init()
        keepsStoredDType = true
        func source(_ names: String...) -> Source {
            Source(key: "--models", name: path(names), place: .init(origin))
        }
        /// - Parameter sizes: by the beginnings of models' names, the largest last.
        func stage(_ part: ModelPart, _ weights: Source) -> Stage {
            let known = ModelSize.all.filter { $0.part == part }
            let size = fileExists(weights.name) ? (try? Checkpoint(weights.name))?.size(of: part) : nil
            let isLite = lastComponent(of: weights.name).contains("lite")
            let name = size ?? known[isLite ? 1 : 0].name
            return Stage(
                architecture: Source(key: "model_version", name: name, place: .init(origin)), weights: weights)
        }
        stageC = stage(.stageC, source("stage-c-bf16", "stage-c", "stage-c-lite-bf16", "stage-c-lite"))
        stageB = stage(.stageB, source("stage-b-bf16", "stage-b", "stage-b-lite-bf16", "stage-b-lite"))
        stageA = source("stage-a")
        effnet = source("effnet")
        previewer = source("previewer")
        text = source("clip-text")
        image = source("clip-image")
    }
}
