import Failures
import Files
import JSON
import Weights

/// What scales an adapter of PEFT's, which no tensor of the file says: alpha, as `lora_alpha`, and `alpha_pattern` of its
/// configuration.
///
/// diffusers keeps the configuration in the file's texts under `lora_adapter_metadata`, PEFT itself in an
/// `adapter_config.json` beside the file. Without either alpha is the rank.
struct PEFTScales {
    /// The configuration's entries, their names with or without the prefix of a model.
    private let entries: JSON.Object
    /// The native descriptions of a file that we exported, whose matrices hold the scale.
    private let native: ModuleMatrices.Description?
    private let names: PEFTNames

    static let metadataKey = "lora_adapter_metadata"

    init(_ file: any NamedTensors, _ names: PEFTNames) throws {
        self.names = names
        let carried = AdapterFile.carried(by: file)
        native =
            carried["alpha"] == nil
            ? nil : try ModuleMatrices.Description(AdapterFile(describing: carried, path: file.path))
        if let text = file.metadata[Self.metadataKey] {
            guard let object = try? JSON.parse(text, file: file.path).objectValue else {
                throw Failure.input(
                    "the text `\(Self.metadataKey)` cannot be read", at: Failure.Place(file.path), got: text)
            }
            entries = object
        } else if file.entries.contains(where: { $0.name.hasPrefix("base_model.model.") }) {
            let folder = file.path.lastIndex(of: "/").map { file.path[...$0] } ?? ""
            let path = "\(folder)adapter_config.json"
            entries = fileExists(path) ? try JSON.read(path).objectValue ?? .init() : .init()
        } else {
            entries = .init()
        }
    }

    /// The module with its alpha, and with its matrices as they were before an export put the scale into one.
    func applied<Method: ModuleMethod>(
        to module: ModuleMatrices, of method: Method.Type, at place: Failure.Place
    ) throws -> ModuleMatrices {
        guard let rank = module.rank.map(Double.init) else { return module }
        func with(_ tensors: [StoredTensor], alpha: Double) throws -> ModuleMatrices {
            try ModuleMatrices(of: Method.self, module.path, tensors, alpha: alpha, at: place)
        }
        if let alpha = native?.alpha(of: module.path) {
            guard alpha != 0 else { return module }
            let tensors = zip(Method.matrices, module.tensors).map {
                $0.carriesScale ? $1.scaled(by: rank / alpha) : $1
            }
            return try with(tensors, alpha: alpha)
        }
        guard var alpha = try alpha(of: module, at: place) else { return module }
        if value("use_rslora", module)?.boolValue == true { alpha *= rank.squareRoot() }
        return try with(module.tensors, alpha: alpha)
    }

    private func value(_ name: String, _ module: ModuleMatrices) -> JSON? {
        entries[(module.isOfText ? "text_encoder." : "prior.") + name] ?? entries[name]
    }

    private func alpha(of module: ModuleMatrices, at place: Failure.Place) throws -> Double? {
        let path = ModulePath.diffusers(module.path)
        for (pattern, alpha) in value("alpha_pattern", module)?.objectValue ?? .init() {
            // peft/utils/other.py: a pattern is a regular expression for the end of a path.
            do {
                let regex = try Regex("(.*\\.)?(\(pattern))")
                if try regex.wholeMatch(in: path) != nil { return alpha.doubleValue }
            } catch {
                throw Failure.input("`alpha_pattern` has no regular expression", at: place, got: pattern)
            }
        }
        return value(names.alpha, module)?.doubleValue
    }
}
