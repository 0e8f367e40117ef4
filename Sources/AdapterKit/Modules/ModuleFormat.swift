import Weights

/// A file format that one method alone has, beside those that name modules.
public protocol ModuleFormat: SendableMetatype {
    /// How it is called where it is found.
    static var foreign: ForeignFormat { get }

    /// The format of an export that it is.
    static var exported: AdapterFormat { get }

    /// Whether a file is of the format, by its tensors' names alone.
    static func isPresent(in file: any NamedTensors) -> Bool

    /// The modules of a file, the keys they are made of, and the filters that selected them.
    /// - Throws: a failure of the input where the file is damaged, or lacks what `reading` does not say either.
    static func read(
        _ file: any NamedTensors, _ reading: AdapterReading
    ) throws -> (modules: [ModuleMatrices], used: Set<String>, filters: [String])

    /// Adds the modules of a native file to an export.
    /// - Throws: a failure of the input where the format cannot hold them.
    static func write(_ modules: [ModuleMatrices], of file: AdapterFile, to export: inout AdapterExport) throws
}
