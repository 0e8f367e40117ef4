import CTorch
import Files

/// An engine library by its file alone: nothing of it is loaded.
public struct EngineFile: Sendable {
    /// The file of the library, which may be missing.
    public let path: String
    /// The version of the libtorch that it was compiled with, such as "2.13.0"; nil where the file does not say.
    public let builtWith: String?
    /// The folders that it was linked to look for libtorch in: those of a checkout; none once it is installed.
    public let searchPath: [String]

    /// Reads what the file says of itself; where it is missing or no library, it says nothing.
    public init(_ path: String) {
        var facts = CTorchEngineFacts()
        ctorch_engine_facts(path, &facts)
        func text(_ bytes: UnsafeRawBufferPointer) -> String {
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let version = withUnsafeBytes(of: facts.built_with) { text($0) }
        let folders = withUnsafeBytes(of: facts.search_path) { text($0) }
        let own = parentFolder(of: path)
        self.init(
            path: path, builtWith: version.isEmpty ? nil : version,
            searchPath: folders.split(separator: ":").map { folder in
                folder.hasPrefix("$ORIGIN") ? own + folder.dropFirst("$ORIGIN".count) : String(folder)
            })
    }

    /// For tests: what a file would say.
    init(path: String, builtWith: String?, searchPath: [String]) {
        self.path = path
        self.builtWith = builtWith
        self.searchPath = searchPath
    }
}
