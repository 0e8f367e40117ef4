import Files

/// A folder that libtorch may lie in: that of Python's package, or an unpacked archive.
public struct TorchFolder: Equatable, Sendable {
    /// The folder that holds `lib`, where libtorch was found; else the one that was named.
    public let path: String
    /// The folder of its libraries.
    public let libraries: String

    /// - Parameter path: the folder itself, or one that it lies in under the name `torch`, as pip's `--target` has it.
    public init(_ path: String) {
        let places = [path, "\(path)/torch"]
        self.path = places.first { fileExists("\($0)/lib/libtorch_cpu.so") } ?? path
        libraries = "\(self.path)/lib"
    }

    /// - Parameter libraries: the folder that holds `libtorch_cpu.so`.
    init(libraries: String) {
        path = parentFolder(of: libraries)
        self.libraries = libraries
    }

    /// Whether there is a libtorch at all.
    public var isThere: Bool { fileExists("\(libraries)/libtorch_cpu.so") }

    /// Its version, such as "2.13.0", by its headers or by Python's package; nil where neither tells.
    public var version: String? { versionOfHeaders ?? versionOfPackage ?? versionOfArchive }

    private var versionOfHeaders: String? {
        for header in ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"] {
            let lines = lines(of: "include/\(header)")
            let parts = ["MAJOR", "MINOR", "PATCH"].compactMap { part in
                lines.lazy.compactMap { line -> Int? in
                    let words = line.split(separator: " ")
                    guard words.count >= 3, words[0] == "#define", words[1] == "TORCH_VERSION_\(part)" else {
                        return nil
                    }
                    return Int(words[2])
                }.first
            }
            if parts.count == 3 { return parts.map { "\($0)" }.joined(separator: ".") }
        }
        return nil
    }

    private var versionOfPackage: String? {
        lines(of: "version.py").first { $0.hasPrefix("__version__") }
            .flatMap { Self.numbers($0.split(separator: "'", omittingEmptySubsequences: false).dropFirst().first) }
    }

    private var versionOfArchive: String? { Self.numbers(lines(of: "build-version").first) }

    /// What of a version precedes its build: "2.13.0" of "2.13.0+cpu".
    private static func numbers(_ version: Substring?) -> String? {
        version.map { String($0.prefix { $0.isNumber || $0 == "." }) }.flatMap { $0.isEmpty ? nil : $0 }
    }

    private func lines(of name: String) -> [Substring] {
        let bytes = (try? readFile("\(path)/\(name)", limit: 1 << 20)) ?? []
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    }

    /// What keeps it from being used by an engine that was compiled with a version; nil where nothing is known to.
    ///
    /// The interface of C++ changes from one minor version to the next.
    public func problem(with builtWith: String?) -> String? {
        guard isThere else {
            return Folder.isFolder(path) ? "\(path) has no lib/libtorch_cpu.so" : "nothing in \(path)"
        }
        guard let builtWith, let version, !Self.areAlike(version, builtWith) else { return nil }
        return "\(path) is torch \(version), the engine was built with \(builtWith)"
    }

    /// Whether two versions are of one minor version.
    static func areAlike(_ one: String, _ other: String) -> Bool { minor(one) == minor(other) }

    /// "2.13" of "2.13.0+cpu".
    public static func minor(_ version: String) -> String {
        version.split(separator: ".").prefix(2).joined(separator: ".")
    }
}
