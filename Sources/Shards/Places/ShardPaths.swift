import Failures
import Files
import Glibc
import Settings
import Web

/// What the name of a tar ends with.
let tarEndings = [".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst"]

/// The shards that a configuration's `webdataset_path` names, in order.
///
/// Each specification is one of these; brace ranges (`train-{0000..0127}.tar`) may stand in any but a folder of
/// images.
/// - A path or `file:` path of a tar, of a folder of tars, taken in the order of their names, or of a folder of
///   images with texts of the same names, which become shards of ``ImageSlice/size`` images.
/// - A path that ends in `.yml` or `.yaml`: a list of specifications; paths in it are relative to its folder.
/// - `http://` or `https://` and a tar's address.
/// - `s3://BUCKET/KEY` of a tar, or `s3://BUCKET/PREFIX` of all tars below.
/// - `pipe:COMMAND`, which writes a tar; in a list only where the access allows it.
///
/// What is missing is a failure of the input that names it. Of remote shards the first and last of a specification are
/// asked for, the others when they are read.
/// Source: the reference's `train/base.py` and `core/data/__init__.py`.
public func resolveShards(_ specifications: [String], access: ShardAccess) throws -> [Shard] {
    var resolving = ShardResolving(access)
    for specification in specifications { try resolving.add(specification, within: nil, depth: 0) }
    if resolving.shards.isEmpty {
        throw Failure.input("no shard is named", expected: "the path or address of a tar, or of a folder of tars")
    }
    return resolving.shards
}

private struct ShardResolving {
    private(set) var shards: [Shard] = []
    private let access: ShardAccess
    /// Set up when the first remote shard is named.
    private var reach: (any: ShardReach?, s3: ShardReach?) = (nil, nil)
    private var checks = 0

    /// Lists may name lists; this many deep, they name themselves.
    private static let mostDepth = 8
    /// A long list of addresses is not asked for one by one.
    private static let mostChecks = 32

    init(_ access: ShardAccess) { self.access = access }

    mutating func add(_ specification: String, within folder: String?, depth: Int) throws {
        if specification.isEmpty || specification.utf8.contains(0) {
            throw Failure.input(
                "not a path", expected: "the path or address of a tar, or of a folder of tars",
                got: "'\(ShownText.withoutSecrets(specification))'")
        }
        if specification.hasPrefix("pipe:") {
            guard depth == 0 || access.takesListedCommands else {
                throw Failure.input(
                    "a list of shards names a command, which is not run from there",
                    expected: "paths and addresses",
                    advice: "name the command in the configuration, or set listed_commands: true if the list is yours")
            }
            let reach = try reach(usesS3: false)
            shards += try commands(specification).map { Shard(.command($0), reach: reach) }
        } else if specification.hasPrefix("s3://") {
            try addObjects(specification)
        } else if specification.hasPrefix("http://") || specification.hasPrefix("https://") {
            let reach = try reach(usesS3: false)
            try addRemote(expandBraces(specification).map { Shard(.web(try WebAddress($0)), reach: reach) })
        } else {
            for path in try expandBraces(localPath(specification)) {
                let place = folder == nil || path.hasPrefix("/") ? path : "\(folder ?? "")/\(path)"
                try addLocal(place, depth: depth)
            }
        }
    }

    /// The commands that a `pipe:` stands for.
    private func commands(_ specification: String) throws -> [String] {
        do {
            return try expandBraces(String(specification.dropFirst(5)), keepsOthers: true)
        } catch var failure as Failure {
            failure.got = "'\(ShownText.withoutSecrets(specification))'"
            throw failure
        }
    }

    private mutating func reach(usesS3: Bool) throws -> ShardReach {
        if let known = usesS3 ? reach.s3 : reach.any { return known }
        let made = try ShardReach(access, usesS3: usesS3)
        if usesS3 { reach.s3 = made } else { reach.any = made }
        return made
    }

    private mutating func addObjects(_ specification: String) throws {
        let reach = try reach(usesS3: true)
        var named: [Shard] = []
        for text in try expandBraces(specification) {
            let object = try S3Object(text)
            if isTar(object.key) {
                named.append(Shard(.object(object), reach: reach))
                continue
            }
            let keys = try reach.keys(from: object).filter(isTar)
            if keys.isEmpty {
                throw Failure.input(
                    "no tar in S3 below this", at: .init("\(object)"), expected: "keys that end in .tar",
                    advice: "check the bucket and the prefix; a folder's ends with a slash")
            }
            shards += keys.map { Shard(.object(S3Object(bucket: object.bucket, key: $0)), reach: reach) }
        }
        try addRemote(named)
    }

    private mutating func addRemote(_ named: [Shard]) throws {
        for shard in [named.first, named.count > 1 ? named.last : nil].compactMap(\.self)
        where checks < Self.mostChecks {
            checks += 1
            try shard.reach?.check(shard)
        }
        shards += named
    }

    private mutating func addLocal(_ path: String, depth: Int) throws {
        var status = stat()
        if stat(path, &status) != 0 { throw SystemError.current.failure("can't find the shard", path: path) }
        if status.st_mode & S_IFMT == S_IFDIR {
            let tars = try namesInFolder(path) { shown in
                guard isTar(shown) else { return }
                throw Failure.input(
                    "a file name is not UTF-8", at: .init(path), got: shown, advice: "give the file another name")
            }.filter(isTar)
            let slices = tars.isEmpty ? try ImageSlice.slices(of: path) : []
            if tars.isEmpty && slices.isEmpty {
                throw Failure.input(
                    "neither tars nor images in the folder", at: .init(path),
                    expected: (tarEndings + Sample.imageEndings.map { ".\($0)" }).joined(separator: ", "))
            }
            shards += tars.map { Shard(path: "\(path)/\($0)") }
            shards += slices.map { Shard(.images($0), reach: nil) }
        } else if path.hasSuffix(".yml") || path.hasSuffix(".yaml") {
            try addList(path, depth: depth)
        } else {
            shards.append(Shard(path: path))
        }
    }

    private mutating func addList(_ path: String, depth: Int) throws {
        guard depth < Self.mostDepth else {
            throw Failure.input("a list of shards that names itself", at: .init(path))
        }
        let list = try Setting.read(path)
        let folder = parentFolder(of: path)
        let elements = list.elements ?? [list]
        for element in elements {
            guard let specification = element.text else {
                throw element.refusal(expected: "a path or an address, or a list of them")
            }
            do {
                try add(specification, within: folder, depth: depth + 1)
            } catch var failure as Failure {
                failure.place = failure.place ?? element.place
                throw failure
            }
        }
        if elements.isEmpty { throw list.refusal(expected: "a path or an address, or a list of them") }
    }
}

/// The path without `file:`; anything else that looks like a scheme is refused.
private func localPath(_ specification: String) throws -> String {
    if specification.hasPrefix("file://") { return String(specification.dropFirst(7)) }
    if specification.hasPrefix("file:") { return String(specification.dropFirst(5)) }
    for scheme in ["gs:", "hdfs:", "ftp:", "http:", "https:", "s3:"] where specification.hasPrefix(scheme) {
        throw Failure.input(
            "shards can't be read like this", expected: "a path, file:, http://, https://, s3:// or pipe:",
            got: "'\(ShownText.withoutSecrets(specification))'",
            advice: "what another program can read comes in with pipe:COMMAND")
    }
    return specification
}

private func isTar(_ name: String) -> Bool { tarEndings.contains { name.hasSuffix($0) } }

/// What lies in a folder, hidden entries left out, sorted by bytes.
/// - Parameter others: told of the names that are not UTF-8, with the bytes that are none as `\\xE9`.
func namesInFolder(_ folder: String, others: (String) throws -> Void = { _ in }) throws -> [String] {
    let names = try Folder.allNames(folder)
    for name in names.others.sorted() where !name.hasPrefix(".") { try others(name) }
    return names.names.filter { !$0.hasPrefix(".") }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}
