import Foundation

/// The files of this repository that the design speaks of, and what each imports or includes.
struct SourceTree {
    /// One Swift, C or C++ file.
    struct File {
        /// Path from the repository's root.
        var path: String
        /// The target it belongs to.
        var target: String
        /// Imported modules, or included headers in a door.
        var names: [String]
    }

    let root: URL
    let swift: [File]
    let native: [File]
    let house: House

    init(root: URL) throws {
        self.root = root
        var swift: [File] = []
        var native: [File] = []
        for folder in ["Sources", "Plugins", "examples/miniature/Sources"] {
            for path in try Self.paths(in: root.appending(path: folder), below: folder) {
                let parts =
                    [folder] + path.dropFirst(folder.count + 1).split(separator: "/").map(String.init)
                let isNative = parts.count > 3 && parts[1] == "Native"
                guard parts.count > 2 else { continue }
                let target = isNative ? parts[2] : parts[1]
                let text = { try String(contentsOf: root.appending(path: path), encoding: .utf8) }
                switch parts.last?.split(separator: ".").last {
                case "swift":
                    swift.append(File(path: path, target: target, names: Self.imports(in: try text())))
                case "c", "h", "cpp", "hpp", "cu", "cuh":
                    native.append(File(path: path, target: target, names: Self.includes(in: try text())))
                default: break
                }
            }
        }
        self.swift = swift
        self.native = native
        house = House(
            doors: Set(native.map(\.target)),
            plugIns: Set(swift.filter { $0.path.hasPrefix("Plugins/") }.map(\.target)))
    }

    /// Every import and include that breaks the design, with its file.
    var complaints: [String] {
        let imports = swift.flatMap { file in
            file.names.compactMap { house.complaint(about: file.target, importing: $0) }.map { "\(file.path): \($0)" }
        }
        let includes = native.flatMap { file in
            file.names.compactMap { house.complaint(about: file.target, including: $0) }.map { "\(file.path): \($0)" }
        }
        return imports + includes
    }

    /// The modules that a Swift file imports, in order, however the import is written.
    static func imports(in text: String) -> [String] {
        let pattern =
            #/
            ^\s* (?: @\w+(?:\([^)]*\))? \s+ | (?:public|package|internal|fileprivate|private) \s+ )*
            import \s+ (?: (?:struct|class|enum|protocol|func|var|let|typealias) \s+ )? (?<module>\w+)
            /#
        return text.split(whereSeparator: \.isNewline).compactMap {
            $0.firstMatch(of: pattern).map { String($0.module) }
        }
    }

    /// The headers that a C or C++ file includes, in order, without quotes and brackets.
    static func includes(in text: String) -> [String] {
        let pattern = #/^\s*\#\s*(?:include|import)\s*[<"](?<header>[^>"]+)/#
        return text.split(whereSeparator: \.isNewline).compactMap {
            $0.firstMatch(of: pattern).map { String($0.header) }
        }
    }

    /// The paths of the files in a folder and the folders in it, from the repository's root, sorted.
    private static func paths(in folder: URL, below prefix: String) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted().map { "\(prefix)/\($0)" }
    }
}
