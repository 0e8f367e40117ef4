import Files
import Glibc

/// Where the libtorch of an engine is looked for, in order: the one that `LIBTORCH` names, and no other then; the one that
/// the engine was linked to, in a checkout; that of the user's `python3`; a private copy of this installation, or of the user.
public struct TorchSearch: Sendable {
    /// A place that is looked at.
    public struct Place: Sendable {
        /// Who names it.
        public let name: String
        /// Nil where nothing is named.
        public let folder: TorchFolder?
        /// What keeps it from being used; nil where it serves.
        public let problem: String?
    }

    /// The copy that belongs to this installation, `lib/cascade-adapt/torch` beside the program's `bin`; nil for a program
    /// that is not installed.
    public let installedCopy: String?
    /// The user's own copy: `cascade-adapt/torch` in `XDG_CACHE_HOME` or `~/.cache`.
    public let userCopy: String
    /// Whether `LIBTORCH` names one.
    public var isNamed: Bool { named != nil }
    private let named: String?
    private let python: @Sendable () -> String?

    /// - Parameters:
    ///   - programFolder: the folder of the program.
    ///   - variable: reads the environment; an empty text counts as none.
    ///   - python: asks python3 for the folder of its torch.
    public init(
        programFolder: String = Engine.programFolder,
        variable: (String) -> String? = { name in getenv(name).map { String(cString: $0) } },
        python: @escaping @Sendable () -> String? = torchOfPython
    ) {
        func value(_ name: String) -> String? { variable(name).flatMap { $0.isEmpty ? nil : $0 } }
        named = value("LIBTORCH")
        userCopy = "\(value("XDG_CACHE_HOME") ?? "\(value("HOME") ?? "")/.cache")/cascade-adapt/torch"
        installedCopy =
            lastComponent(of: programFolder) == "bin"
            ? path("lib/cascade-adapt/torch", in: parentFolder(of: programFolder)) : nil
        self.python = python
    }

    /// Each place in its order; the later ones are not looked at before they are asked for.
    private func places(for engine: EngineFile) -> [() -> Place] {
        func place(_ name: String, _ folder: TorchFolder?, none: String) -> Place {
            Place(name: name, folder: folder, problem: folder.map { $0.problem(with: engine.builtWith) } ?? none)
        }
        let first: [() -> Place] = [{ place("LIBTORCH", named.map { TorchFolder($0) }, none: "is not set") }]
        let linked: [() -> Place] = engine.searchPath.map { TorchFolder(libraries: $0) }.filter(\.isThere).map {
            folder in
            { place("the engine's own", folder, none: "") }
        }
        let copies: [() -> Place] = [installedCopy, userCopy].compactMap(\.self).map { copy in
            { place("private copy", TorchFolder(copy), none: "") }
        }
        return first + linked + [{ place("python3", python().map { TorchFolder($0) }, none: "has no torch") }] + copies
    }

    /// The first libtorch that serves an engine, and all places that were looked at for it.
    public func find(for engine: EngineFile) -> (found: TorchFolder?, tried: [Place]) {
        var tried: [Place] = []
        for look in places(for: engine) {
            let place = look()
            tried.append(place)
            if place.problem == nil { return (place.folder, tried) }
            // Who names one wants that one.
            if named != nil { break }
        }
        return (nil, tried)
    }

    /// All places, also those behind the first that serves.
    public func all(for engine: EngineFile) -> [Place] { places(for: engine).map { $0() } }
}

/// The folder of the torch that the user's `python3` would import; nil where there is none. Torch is not imported for it.
@Sendable public func torchOfPython() -> String? {
    // The working folder is no place for packages.
    let statements = [
        "import importlib.util, os, sys", "sys.path = [p for p in sys.path if p]",
        "s = importlib.util.find_spec(\"torch\")",
        "print(\"\\n\" + os.path.dirname(s.origin) if s and s.origin else \"\")",
    ]
    let program = statements.joined(separator: "; ")
    guard let output = popen("exec python3 -c '\(program)' 2>/dev/null </dev/null", "r") else { return nil }
    var text: [UInt8] = []
    var byte = getc(output)
    while byte != EOF {
        if text.count < 1 << 16 { text.append(UInt8(truncatingIfNeeded: byte)) }
        byte = getc(output)
    }
    guard pclose(output) == 0 else { return nil }
    // Whatever start-up files of Python's say stands before it.
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    return lines.last.map(String.init).flatMap { $0.hasPrefix("/") ? $0 : nil }
}
