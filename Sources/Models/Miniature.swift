import Files

/// The miniature Stable Cascade that comes with the program: a folder of small networks that draw, laid out as the
/// official ones are in `models/`.
public enum Miniature {
    /// Its name as a `model_version` and for `--models`.
    public static let name = "miniature"

    /// The file in it that says what its Stage C is like.
    private static let architecture = "stage_c.yaml"

    /// Where it is; nil where the program came without it.
    ///
    /// It is looked for in `models/`, in a checkout that the command runs in, and beside the program: in the checkout it
    /// was built in, or in `share/` of where it was installed.
    public static func folder() -> String? {
        let beside = ancestors(of: programPath() ?? "").flatMap {
            ["\($0)/examples/\(name)", "\($0)/share/cascade-adapt/\(name)"]
        }
        return (["models/\(name)", "examples/\(name)"] + beside).first { fileExists("\($0)/\(architecture)") }
    }

    /// Its architecture file; nil where the program came without it.
    public static func architectureFile() -> String? { folder().map { "\($0)/\(architecture)" } }

    /// The folders that a file lies in, the nearest first, five at most.
    private static func ancestors(of path: String) -> [String] {
        var parts = path.split(separator: "/")
        var folders: [String] = []
        while folders.count < 5, parts.popLast() != nil, !parts.isEmpty {
            folders.append("/" + parts.joined(separator: "/"))
        }
        return folders
    }
}
