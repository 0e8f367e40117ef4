import Files

/// What comes with the program: configurations, the miniature, CLIP's vocabulary. In the checkout that the program was built
/// in, and in `share/cascade-adapt` of where it was installed, it lies under the same paths.
public struct Shipped: Sendable {
    /// What a configuration is for.
    public enum Use: String, CaseIterable, Sendable { case training, inference }

    /// A configuration that comes with the program.
    public struct Configuration: Sendable {
        /// As commands take it: `training/lora_c_tiny`.
        public let name: String
        /// Where the file lies on this machine.
        public let path: String
    }

    /// The folders around the program that may hold it, the nearest first.
    private let roots: [String]

    /// - Parameter program: the program's file.
    public init(program: String? = programPath()) {
        var roots: [String] = []
        var around = program.map(parentFolder) ?? "/"
        while around != "/" {
            roots += [around, "\(around)/share/cascade-adapt"]
            around = parentFolder(of: around)
        }
        self.roots = roots
    }

    /// A folder that is looked for in `models/`, in a checkout that the command runs in, and around the program.
    /// - Parameter place: the folder of the checkout that it lies in.
    func folder(_ name: String, in place: String, where isWhole: (String) -> Bool) -> String? {
        (["models/\(name)", "\(place)/\(name)"] + roots.map { "\($0)/\(place)/\(name)" }).first(where: isWhole)
    }

    /// The folder of all that came; nil where the program came alone.
    public var root: String? { roots.first { Folder.isFolder("\($0)/configs/training") } }

    /// Whether a path is one that shipped files have: `configs/…`, `examples/…`.
    private static func isShipped(_ path: String) -> Bool {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count > 1 && ["configs", "examples"].contains(parts[0]) && !parts.contains("..")
    }

    private static func exists(_ path: String) -> Bool { fileExists(path) || Folder.isFolder(path) }

    /// A path as shipped configurations write it: as it stands where something is there, or where nothing that came with the
    /// program has it.
    public func path(_ path: String) -> String {
        guard Self.isShipped(path), !Self.exists(path) else { return path }
        return roots.lazy.map { "\($0)/\(path)" }.first(where: Self.exists) ?? path
    }

    /// The path of a configuration that is named by its path, or, where no file is there, by its name among those that came:
    /// `lora_c_tiny`, `training/lora_c_tiny`, `fernando`, `miniature/fernando`, `configs/training/lora_c_tiny.yaml`.
    /// - Parameter use: which it is where names stand for both; nil takes those for training first.
    public func configuration(_ name: String, for use: Use?) -> String {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !Self.exists(name), !parts.contains(""), !parts.contains("..") else { return name }
        let places =
            (use.map { [$0] } ?? Use.allCases).map { "configs/\($0.rawValue)/\(name)" }
            + ["examples/miniature/\(name)", "configs/\(name)", "examples/\(name)"]
            + (Self.isShipped(name) ? [name] : [])
        let files = places.flatMap { $0.hasSuffix(".yaml") ? [$0] : ["\($0).yaml"] }
        return roots.lazy.flatMap { root in files.map { "\(root)/\($0)" } }.first(where: fileExists) ?? name
    }

    /// All configurations that came.
    public func configurations() -> [Configuration] {
        guard let root else { return [] }
        func those(of folder: String, _ name: String) -> [Configuration] {
            ((try? Folder.names(folder)) ?? []).filter { $0.hasSuffix(".yaml") }.map {
                Configuration(name: "\(name)/\($0.dropLast(".yaml".count))", path: "\(folder)/\($0)")
            }
        }
        // Beside those of runs the miniature's folder holds what describes it.
        let miniature = those(of: "\(root)/examples/miniature", "miniature").filter {
            !["miniature/stage_c", "miniature/generate"].contains($0.name)
        }
        return Use.allCases.flatMap { those(of: "\(root)/configs/\($0.rawValue)", $0.rawValue) } + miniature
    }
}
