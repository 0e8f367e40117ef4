import Files

/// A model that somebody publishes, known by a short name: what it is, where it comes from, and where it lies.
///
/// A filter declares those that it may take (`ControlFilter.models`); `models list` and `models get` then know them.
public struct PublishedModel: Sendable {
    /// Where a model is to be had.
    public enum Source: Sendable {
        /// One file of a repository on the Hugging Face hub; its SHA-256 where that is known.
        case hubFile(repository: String, file: String, sha256: String? = nil)
        /// A folder in transformers' layout, all of a repository that it needs.
        case hubFolder(repository: String)
        /// A file at an address; its SHA-256 where that is known.
        case web(String, sha256: String? = nil)
        /// Files that a Python package ships.
        case package(PythonPackage)
        /// By other means than `models get`: whence, in words that follow "from".
        case byHand(String)
        /// With the program.
        case shipped
    }

    /// Short, as `models get` takes it.
    public let name: String
    /// What it is and does, for lists of models.
    public let description: String
    /// Where it is to be had, and the SHA-256 where that is known.
    public let source: Source
    /// The licence by its usual short name, such as `MIT`.
    public let licence: String
    /// About how large, in megabytes of 10^6 bytes; nil where that is not known.
    public let megabytes: Int?

    /// - Parameters:
    ///   - name: short, as `models get` takes it; no other model has it.
    ///   - megabytes: about how large, of 10^6 bytes; nil where that is not known.
    public init(name: String, description: String, source: Source, licence: String, megabytes: Int? = nil) {
        self.name = name
        self.description = description
        self.source = source
        self.licence = licence
        self.megabytes = megabytes
    }

    /// The path below `models/`; a folder for what is several files.
    public var place: String {
        switch source {
        case .hubFile(_, let file, _): lastComponent(of: file)
        case .hubFolder(let repository): repository
        case .web(let address, _): lastComponent(of: address)
        case .package(let package): package.files.count == 1 ? "\(name)/\(package.files[0].name)" : name
        case .byHand, .shipped: name
        }
    }

    /// The same model with the SHA-256 that its file must have; nil where it is several files, or known by a hash.
    public func pinned(to sha256: String) -> PublishedModel? {
        let pinned: Source? =
            switch source {
            case .hubFile(let repository, let file, nil): .hubFile(repository: repository, file: file, sha256: sha256)
            case .web(let address, nil): .web(address, sha256: sha256)
            case .byHand: source
            case .hubFile, .hubFolder, .web, .package, .shipped: nil
            }
        return pinned.map {
            PublishedModel(name: name, description: description, source: $0, licence: licence, megabytes: megabytes)
        }
    }

    /// The command that gets the model to where it is looked for, or to a path.
    func command(putting path: String?) -> String {
        "cascade-adapt models get \(name)" + (path.map { " -o \($0)" } ?? "")
    }

    /// What to do to have the model where it is looked for, or at a path: the command, or where to turn.
    public func advice(for path: String?) -> String {
        if case .byHand(let words) = source { return "put it there; it is to be had from \(words)" }
        if case .shipped = source { return "it comes with the program" }
        return command(putting: path)
    }

    /// What of the model a path lacks, file or folder: the names of its files, none where it is whole.
    public func absent(at path: String) -> [String] {
        switch source {
        case .hubFolder: return ModelPlaces.isWhole(path) ? [] : ["config.json and model.safetensors"]
        case .package(let package) where package.files.count > 1:
            return package.files.map(\.name).filter { !fileExists("\(path)/\($0)") }
        case .web, .package: return fileExists(path) ? [] : [lastComponent(of: place)]
        // Weights may lie in a folder of several.
        case .hubFile: return fileExists(path) || Folder.isFolder(path) ? [] : [lastComponent(of: place)]
        case .byHand, .shipped: return fileExists(path) || Folder.isFolder(path) ? [] : [lastComponent(of: path)]
        }
    }
}
