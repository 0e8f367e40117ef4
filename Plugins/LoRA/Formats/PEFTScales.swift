import AdapterKit
import Failures
import Files
import JSON
import Weights

/// What scales a PEFT LoRA, which no tensor of the file says: `lora_alpha` and `alpha_pattern` of its configuration.
///
/// diffusers keeps the configuration in the file's texts under `lora_adapter_metadata`, PEFT itself in an
/// `adapter_config.json` beside the file. Without either alpha is the rank.
struct PEFTScales {
    /// The configuration's entries, their names with or without the prefix of a model.
    private let entries: JSON.Object
    /// The native descriptions of a file that we exported, whose up matrices hold the scale.
    private let native: AdapterFile?

    static let metadataKey = "lora_adapter_metadata"

    init(_ file: any NamedTensors) throws {
        let carried = AdapterFile.carried(by: file)
        native = carried["alpha"] == nil ? nil : try AdapterFile(describing: carried, path: file.path)
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

    /// The module with its alpha, and with the up matrix as it was before an export put the scale into it.
    func applied(to module: LoRAModule, at place: Failure.Place) throws -> LoRAModule {
        if let native {
            let alpha = try LoRAModule.alpha(of: module.path, describedIn: native)
            guard alpha != 0 else { return module }
            return try LoRAModule(
                path: module.path, down: module.down, up: module.up.scaled(by: Double(module.rank) / alpha),
                alpha: alpha, at: place)
        }
        guard var alpha = try alpha(of: module, at: place) else { return module }
        if value("use_rslora", module)?.boolValue == true { alpha *= Double(module.rank).squareRoot() }
        return try LoRAModule(path: module.path, down: module.down, up: module.up, alpha: alpha, at: place)
    }

    private func value(_ name: String, _ module: LoRAModule) -> JSON? {
        entries[(module.isOfText ? "text_encoder." : "prior.") + name] ?? entries[name]
    }

    private func alpha(of module: LoRAModule, at place: Failure.Place) throws -> Double? {
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
        return value("lora_alpha", module)?.doubleValue
    }
}
