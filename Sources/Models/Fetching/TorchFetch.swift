import Files
import Glibc

/// Puts a private copy of libtorch in place, out of the Python package `torch`, which python3's pip downloads and checks.
///
/// The copy is a folder as pip's `--target` makes one, with `torch` in it. The machine's Python is left as it is.
public struct TorchFetch: Sendable {
    private let isCancelled: @Sendable () -> Bool
    private let report: @Sendable (FetchEvent) -> Void

    /// - Parameters:
    ///   - isCancelled: asked several times a second; true ends what goes on with a `CancellationError`.
    ///   - report: told what goes on.
    public init(
        isCancelled: @escaping @Sendable () -> Bool = { false },
        report: @escaping @Sendable (FetchEvent) -> Void = { _ in }
    ) {
        self.isCancelled = isCancelled
        self.report = report
    }

    /// Gets a version. Where anything fails, nothing is left, and a copy that was there stays.
    /// - Parameters:
    ///   - place: the folder of the copy.
    ///   - withCUDA: whether CUDA's libraries are wanted, where the package is made for it.
    ///   - check: told the folder before it is put in its place; what it throws ends this.
    public func callAsFunction(
        _ version: String, to place: String, withCUDA: Bool, check: (String) throws -> Void = { _ in }
    ) throws {
        try Folder.make(parentFolder(of: place))
        let lock = try FolderLock(parentFolder(of: place))
        let partial = "\(place).partial"
        // What a killed process left.
        Folder.remove(partial)
        try Folder.make("\(partial)/tmp")
        defer { Folder.remove(partial) }
        try withExtendedLifetime(lock) {
            try install(version, in: partial, withCUDA: withCUDA)
            Folder.remove("\(partial)/tmp")
            try check(partial)
            Folder.remove(place)
            guard rename(partial, place) == 0 else {
                throw SystemError.current.failure("can't put the copy in its place", path: place)
            }
        }
    }

    private func install(_ version: String, in folder: String, withCUDA: Bool) throws {
        let pip = Pip(
            title: "torch \(version)", otherwise: "let LIBTORCH name the folder of a torch \(version)",
            isCancelled: isCancelled, report: report)
        func add(_ requirements: [String], alone: Bool = false) throws {
            let options = ["install", "--target", folder, "--only-binary=:all:", "--no-compile", "--no-warn-conflicts"]
            // pip unpacks beside the place, on the same disk.
            try pip(
                options + (alone ? ["--no-deps"] : []) + requirements, environment: ["TMPDIR=\(folder)/tmp"])
        }
        report(.note("getting the Python package torch \(version) with pip: 0.2 to 3 GB, by the machine's kind"))
        try add(["torch==\(version)"], alone: !withCUDA)
        guard !withCUDA, fileExists("\(folder)/torch/lib/libtorch_cuda.so") else { return }
        // Of all CUDA's libraries libtorch_cpu.so needs two.
        let needed = Self.cudaRequirements(try Self.metadata(in: folder))
        report(
            .note("the package is made for CUDA: getting the two of its libraries that are needed without a GPU too"))
        if !needed.isEmpty { try add(needed) }
    }

    private static func metadata(in folder: String) throws -> String {
        let name = try Folder.names(folder).first { $0.hasPrefix("torch-") && $0.hasSuffix(".dist-info") } ?? "torch"
        return String(decoding: try readFile("\(folder)/\(name)/METADATA"), as: UTF8.self)
    }

    /// CUDA's runtime and CUPTI as the package requires them: as extras of `cuda-toolkit[…]==VERSION`, or as packages of
    /// their own.
    static func cudaRequirements(_ metadata: String) -> [String] {
        let requirements = metadata.split(separator: "\n").compactMap { line -> Substring? in
            guard line.hasPrefix("Requires-Dist: ") else { return nil }
            return line.dropFirst("Requires-Dist: ".count).prefix { $0 != ";" && $0 != " " }
        }
        if let toolkit = requirements.first(where: { $0.hasPrefix("cuda-toolkit[") }) {
            return ["cuda-toolkit[cudart,cupti]\(toolkit.drop { $0 != "]" }.dropFirst())"]
        }
        return requirements.filter { name in
            ["nvidia-cuda-runtime", "nvidia-cuda-cupti"].contains(where: name.hasPrefix)
        }.map(String.init)
    }
}
