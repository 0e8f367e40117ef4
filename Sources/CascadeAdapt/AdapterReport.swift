import AdapterKit
import Failures
import JSON
import Weights

/// What `inspect` says of an adapter of any format.
struct AdapterReport {
    /// Short and stable: `adapter-lora` for a native file, `lora-kohya` for a foreign one.
    let name: String
    let description: String
    /// The `model_version` of the base, where it is known.
    let base: String?
    let licence: String?
    private var facts: [(name: String, value: JSON)] = []
    /// Why the file cannot be used as it is.
    private var problem: Failure?

    /// Nil where the file is no adapter.
    init?(_ file: any NamedTensors, _ plugIns: PlugIns, _ reading: AdapterReading) {
        let isNative = file.metadata["format"] == AdapterFile.format
        let formats = plugIns.foreignFormats(of: file)
        guard isNative || !formats.isEmpty else { return nil }
        var opened: AdapterFile?
        do {
            let adapter = try plugIns.open(file, reading)
            opened = adapter
            for kind in plugIns.kinds where adapter.kinds.contains(kind.name) { facts += try kind.facts(of: adapter) }
        } catch let failure as Failure {
            problem = failure
        } catch {
            problem = .run("\(error)")
        }
        if isNative {
            let kinds = file.metadata["kind"] ?? "of no kind"
            name = "adapter-" + kinds.split(separator: ",").joined(separator: "+")
            description = "adapter in the native format: \(kinds)"
        } else {
            name = formats[0].name
            description = formats.map(\.description).joined(separator: ", with ")
        }
        let metadata = opened?.weights.metadata ?? file.metadata
        base = metadata["base_model"].flatMap { $0 == "unknown" ? nil : $0 }
        licence = metadata["base_licence"] ?? (isNative ? nil : BaseModel.possibleLicence)
    }

    var json: JSON {
        var object = JSON.Object()
        for (name, value) in facts { object[name] = value }
        object["base_model"] = base.map(JSON.string) ?? .null
        object["problem"] = problem.map { .string("\($0)") } ?? .null
        return .object(object)
    }

    var lines: [String] {
        facts.map { "  \($0.name): \($0.value.text())" } + (base.map { ["  base: \($0)"] } ?? [])
            + (problem.map { ["  cannot be used as it is: \($0.what)"] + ($0.advice.map { ["  \($0)"] } ?? []) } ?? [])
    }
}
