import Cascade
import Torch
import Weights

/// The files that an export writes, put together kind by kind.
public struct AdapterExport {
    /// One file.
    public struct Contents {
        /// What is written, in this order.
        public var tensors: [(name: String, tensor: Tensor)] = []
        /// What is said beside the tensors.
        public var metadata: [String: String] = [:]

        /// A file with nothing in it.
        public init() {}
    }

    /// The format that is written.
    public let format: AdapterFormat
    /// The Stage C that the adapter is for, where it was named.
    public let architecture: StageCConfiguration?
    /// The modules that a file without module names is to be read with, where they were named.
    public let moduleFilters: [String]
    /// The kinds that the exported file holds.
    public let kinds: [String]
    /// Updates the adapter was trained for, as the file says it.
    public let steps: String?
    /// The file that was asked for.
    public var main: Contents
    /// Files beside it, by what is put between its name and `.safetensors`: an underscore and what they hold.
    public var beside: [(suffix: String, contents: Contents)] = []
    /// What a person has to know to use the files.
    public var notes: [String] = []

    /// A file without tensors that carries our descriptions.
    public let blank: Contents

    /// An export without any tensors yet.
    public init(_ file: AdapterFile, as format: AdapterFormat, _ reading: AdapterReading) {
        self.format = format
        architecture = reading.architecture
        moduleFilters = reading.moduleFilters
        kinds = file.kinds
        steps = file.weights.metadata["trained_steps"]
        var blank = Contents()
        blank.metadata =
            format == .native
            ? file.weights.metadata : [AdapterFile.carriedKey: file.descriptions.text()]
        self.blank = blank
        main = blank
    }

    /// The files that are written where the first of them is `path`.
    public func paths(at path: String) -> [String] {
        let ending = ".safetensors"
        let stem = path.hasSuffix(ending) ? String(path.dropLast(ending.count)) : path
        return [path] + beside.map { "\(stem)\($0.suffix)\(ending)" }
    }

    /// Writes all files.
    /// - Returns: what each holds, their paths and how many tensors are in them.
    public func write(to path: String) throws -> [(what: String, path: String, tensors: Int)] {
        let parts =
            [(kinds.joined(separator: ", "), main)] + beside.map { (String($0.suffix.dropFirst()), $0.contents) }
        let files = zip(parts, paths(at: path)).map { ($0.0, $1, $0.1) }
        for (_, path, contents) in files {
            try SafetensorsWriter.write(contents.tensors, metadata: contents.metadata, to: path)
        }
        return files.map { ($0.0, $0.1, $0.2.tensors.count) }
    }
}

extension PlugIns {
    /// Puts together what an adapter is in another format.
    /// - Throws: a failure of the input where the format cannot hold it.
    public func export(
        _ file: AdapterFile, as format: AdapterFormat, _ reading: AdapterReading = .init()
    ) throws -> AdapterExport {
        var export = AdapterExport(file, as: format, reading)
        for kind in try kinds(of: file) { try kind.export(file, to: &export) }
        if format == .native {
            export.main.tensors = try file.weights.entries.map { ($0.name, try file.weights.required($0.name)) }
        }
        return export
    }
}
