import AdapterKit
import ArgumentParser
import Cascade
import Failures
import JSON
import Layers
import Weights

/// `inspect FILE…`: what files of weights are and hold.
struct Inspect: Action {
    static let configuration = CommandConfiguration(
        abstract: "Describe weight files: adapters, checkpoints, encoders.")

    @Argument(
        help: "Safetensors or torch files, indices of sharded files, folders in diffusers' or transformers' layout.",
        completion: .file())
    var files: [String]

    @OptionGroup var reading: ReadingOptions

    @Flag(help: "List every tensor.")
    var tensors = false

    @Flag(help: "Print one JSON line for each file.")
    var json = false

    func run(in context: Context) throws {
        let reading = try self.reading.reading()
        var status: Int32 = 0
        for path in files {
            do {
                let report = FileReport(
                    try Tensors.open(path), plugIns: context.plugIns, reading, listsTensors: tensors)
                if json { try Output().result(report.json) } else { try report.lines.forEach(Output().result) }
            } catch let failure as Failure where failure.blame == .input {
                // One bad file of many is no reason to keep silent on the others.
                status = Output.report(failure)
            }
        }
        if status != 0 { throw ExitCode(status) }
    }
}

/// What `inspect` says of a file.
struct FileReport {
    private let file: any NamedTensors
    private let checkpoint: Checkpoint
    private let kind: FileKind
    private let adapter: AdapterReport?
    private let listsTensors: Bool

    init(_ file: any NamedTensors, plugIns: PlugIns, _ reading: AdapterReading, listsTensors: Bool) {
        self.file = file
        checkpoint = Checkpoint(file)
        adapter = AdapterReport(file, plugIns, reading)
        kind = FileKind(checkpoint, adapter)
        self.listsTensors = listsTensors
    }

    /// The parts and the names by which they were known. Files of ours say themselves what they are.
    private var parts: [(part: ModelPart, evidence: String)] {
        kind.isNative
            ? [] : checkpoint.parts.compactMap { part in checkpoint.evidence(of: part).map { (part, $0) } }
    }

    /// Numbers, of which a byte of a quantised matrix may hold two and its scales none.
    private var parameters: Int {
        let codes = QuantisedMatrix.keys(in: file)
        return file.entries.reduce(0) { sum, entry in
            if !codes.isEmpty && QuantisedMatrix.isPiece(entry.name) { return sum }
            return sum + entry.count * (codes[entry.name] == .nf4 ? 2 : 1)
        }
    }
    private var bytes: Int { file.entries.reduce(0) { $0 + $1.byteCount } }

    /// Tensors by dtype, the most first.
    private var dtypes: [(name: String, tensors: Int)] {
        Dictionary(grouping: file.entries) { "\($0.dtype)" }.map { ($0.key, $0.value.count) }
            .sorted { ($1.1, $0.0) < ($0.1, $1.0) }
    }

    /// The metadata by name, sorted; descriptions of ours that are JSON become JSON.
    private var metadata: [(name: String, value: JSON)] {
        file.metadata.sorted { $0.key < $1.key }.map { name, text in
            let structured = kind.isNative && (text.hasPrefix("[") || text.hasPrefix("{"))
            let value = structured ? try? JSON.parse(text, file: file.path) : nil
            return (name, value ?? .string(text))
        }
    }

    var json: JSON {
        var object = JSON.Object()
        object["file"] = .string(file.path)
        object["kind"] = .string(kind.name)
        object["description"] = .string(kind.description)
        if let size = kind.size { object["model_version"] = .string(size) }
        if !parts.isEmpty { object["layout"] = .string(checkpoint.layout.rawValue) }
        object["parts"] = .array(
            parts.map { part, evidence in
                [
                    "part": .string(part.rawValue),
                    "model_version": checkpoint.size(of: part).map(JSON.string) ?? .null,
                    "told_by": .string(evidence),
                ]
            })
        if let dtype = checkpoint.quantisation { object["base_dtype"] = .string(dtype.rawValue) }
        object["tensors"] = .integer(file.entries.count)
        object["parameters"] = .integer(parameters)
        object["bytes"] = .integer(bytes)
        var counts = JSON.Object()
        for (name, tensors) in dtypes { counts[name] = .integer(tensors) }
        object["dtypes"] = .object(counts)
        var described = JSON.Object()
        for (name, value) in metadata { described[name] = value }
        object["metadata"] = .object(described)
        if let adapter { object["adapter"] = adapter.json }
        object["licence"] = kind.licence.map(JSON.string) ?? .null
        if listsTensors {
            object["entries"] = .array(
                file.entries.map {
                    [
                        "name": .string($0.name), "dtype": .string("\($0.dtype)"),
                        "shape": .array($0.shape.map { .integer($0) }),
                    ]
                })
        }
        return .object(object)
    }

    var lines: [String] {
        let types = dtypes.map { "\($0.tensors) \($0.name)" }.joined(separator: ", ")
        var lines = [
            "\(file.path): \(kind.description)",
            "  \(parameters) parameters in \(file.entries.count) tensors (\(types)), \(bytes) bytes",
        ]
        lines += parts.map { "  \($0.part.description): recognised by \($0.evidence)" }
        lines += adapter?.lines ?? []
        lines += metadata.map { "  \($0.name): \($0.value.stringValue ?? $0.value.text())" }
        if let licence = kind.licence { lines.append("  licence: \(licence)") }
        if listsTensors { lines += file.entries.map { "  \($0.name) \($0.dtype) \($0.shape)" } }
        return lines
    }
}
