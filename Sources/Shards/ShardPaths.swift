import Failures
import Files
import Glibc

/// The shards that a configuration's `webdataset_path` names, in order.
///
/// Each specification is a path, a `file:` path, either with brace ranges (`train-{0000..0127}.tar`), or a folder, whose
/// tars are taken in the order of their names. A shard that is missing, or a folder without tars, is a failure that
/// names it.
public func resolveShards(_ specifications: [String]) throws -> [Shard] {
    var shards: [Shard] = []
    for specification in specifications {
        for path in try expandBraces(localPath(specification)) {
            var status = stat()
            if stat(path, &status) != 0 { throw SystemError.current.failure("can't find the shard", path: path) }
            shards += (status.st_mode & S_IFMT == S_IFDIR ? try tars(in: path) : [path]).map(Shard.init(path:))
        }
    }
    if shards.isEmpty { throw Failure.input("no shard is named", expected: "the path of a tar or of a folder of tars") }
    return shards
}

/// The path without `file:`; anything else that looks like a scheme is refused.
private func localPath(_ specification: String) throws -> String {
    if specification.isEmpty || specification.utf8.contains(0) {
        throw Failure.input(
            "not a path", expected: "the path of a tar or of a folder of tars", got: "'\(specification)'")
    }
    if specification.hasPrefix("file://") { return String(specification.dropFirst(7)) }
    if specification.hasPrefix("file:") { return String(specification.dropFirst(5)) }
    for scheme in ["http:", "https:", "s3:", "pipe:", "gs:", "hdfs:"] where specification.hasPrefix(scheme) {
        throw Failure.input(
            "shards can't be read over \(scheme) yet", expected: "a path, a file: path or a folder",
            got: "'\(specification)'", advice: "copy the shards to a disk and give their path")
    }
    return specification
}

private func tars(in folder: String) throws -> [String] {
    let endings = [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"]
    let names = try namesInFolder(folder).filter { name in endings.contains { name.hasSuffix($0) } }
    if names.isEmpty {
        throw Failure.input(
            "no tar in the folder", at: .init(folder), expected: endings.joined(separator: ", "),
            advice: "a folder of pictures and texts becomes a tar with: cascade-adapt dataset pack FOLDER OUT.tar")
    }
    return names.map { "\(folder)/\($0)" }
}

/// What lies in a folder, hidden entries left out, sorted by bytes.
func namesInFolder(_ folder: String) throws -> [String] {
    try Folder.names(folder).filter { !$0.hasPrefix(".") }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}
