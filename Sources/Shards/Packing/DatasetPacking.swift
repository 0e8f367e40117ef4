import Failures
import Files

/// What `packDataset` did.
public struct PackReport: Equatable, Sendable {
    /// A file that was not packed, and why.
    public struct Problem: Equatable, Sendable {
        /// The image or text that was left out.
        public var path: String
        /// In a few words, the same for all files of that kind: "broken image".
        public var reason: String
    }

    /// In the order of the samples' names.
    public var shards: [WrittenShard] = []
    /// In the order of the paths.
    public var problems: [Problem] = []
}

/// Packs the images of a folder (jpg, jpeg, jfif, jpe, png, webp, bmp; subfolders too) with the texts of the same name
/// (txt, json, caption) and their masks (NAME.mask.png) into a WebDataset: ustar, samples sorted by name, equal bytes
/// for equal content. With limits, `OUT.tar` becomes `OUT-000000.tar` and so on; see ``ShardLimits``.
///
/// `checkImage` throws for an image that can't be decoded; this library knows no image formats. Images without
/// text, texts without image, broken images and texts that are not UTF-8 are left out and reported. A folder
/// without a single sample is a failure. Where something fails, nothing is written.
/// - Parameters:
///   - willRead: told of all files that will be read, before anything is written; what it throws ends the packing.
///   - progress: told how many images with texts are dealt with, and how many there are.
public func packDataset(
    folder: String, to path: String, limits: ShardLimits = ShardLimits(),
    willRead: (_ paths: [String]) throws -> Void = { _ in },
    progress: (_ done: Int, _ total: Int) -> Void = { _, _ in },
    checkImage: (_ bytes: [UInt8], _ path: String) throws -> Void
) throws -> PackReport {
    let source = try ImageFolder(folder)
    var report = PackReport(problems: source.problems)
    try willRead(source.pairs.flatMap { ([$0.image] + $0.texts + $0.masks).map(\.path) })
    let writer = try ShardedWriter(at: path, limits: limits)
    var samples = 0
    for (number, (key, pair)) in keyed(source.pairs).enumerated() {
        defer { progress(number + 1, source.pairs.count) }
        do {
            try checkLength(of: key, pair)
            try writer.add(members(of: pair, checkImage).map { ("\(key).\($0.ending)", $0.bytes) })
            samples += 1
        } catch let problem as PackReport.Problem {
            report.problems.append(problem)
        }
    }
    report.problems.sort { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
    if samples == 0 {
        throw Failure.input(
            "no image with a text of the same name", at: .init(folder), expected: "NAME.jpg beside NAME.txt",
            got: report.problems.isEmpty ? "neither images nor texts" : report.reasons)
    }
    report.shards = try writer.finish()
    return report
}

extension PackReport {
    /// How many samples the shards hold.
    public var samples: Int { shards.reduce(0) { $0 + $1.samples } }

    /// The shards as `webdataset_path` takes them.
    public func specification(of path: String, _ limits: ShardLimits) -> String {
        limits.areNumbered ? ShardName(path).range(shards.count) : path
    }
}

extension PackReport {
    /// The reasons with their counts.
    public var reasons: String {
        Dictionary(grouping: problems, by: \.reason).mapValues(\.count)
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
    }
}

extension PackReport.Problem: Error {}

/// The members of a sample, sorted by ending.
private func members(
    of pair: ImageFolder.Pair, _ checkImage: ([UInt8], String) throws -> Void
) throws -> [(ending: String, bytes: [UInt8])] {
    let image = try content(of: pair.image.path)
    do {
        try checkImage(image, pair.image.path)
    } catch {
        throw PackReport.Problem(path: pair.image.path, reason: "broken image")
    }
    var members = [(ending: pair.image.ending, bytes: image)]
    for file in pair.masks {
        let mask = try content(of: file.path)
        do {
            try checkImage(mask, file.path)
        } catch {
            throw PackReport.Problem(path: file.path, reason: "broken mask")
        }
        members.append((file.ending, mask))
    }
    for file in pair.texts {
        let text = try content(of: file.path)
        if String(validating: text, as: UTF8.self) == nil {
            throw PackReport.Problem(path: file.path, reason: "text is not UTF-8")
        }
        members.append((file.ending, text))
    }
    return members.sorted { $0.ending < $1.ending }
}

private func content(of path: String) throws -> [UInt8] {
    do {
        return try readFile(path, limit: ShardReader.sampleLimit)
    } catch let failure as Failure {
        throw PackReport.Problem(path: path, reason: failure.got ?? failure.what)
    }
}

/// The pairs under keys that webdataset reads back as they are (no dots, no control characters, no `__meta__` parts),
/// sorted as the members' names will be; numbered where two names become one.
func keyed(_ pairs: [ImageFolder.Pair]) -> [(key: String, pair: ImageFolder.Pair)] {
    var taken: Set<String> = []
    let keyed = pairs.map { pair in
        var name = String(
            pair.name.map { character in
                character == "." || character.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
                    ? "_" : character
            })
        if name.hasPrefix("__") { name = "x" + name }
        var key = name
        var number = 2
        while !taken.insert(key).inserted {
            key = "\(name)-\(number)"
            number += 1
        }
        return (key: key, pair: pair)
    }
    return keyed.sorted { "\($0.key).".utf8.lexicographicallyPrecedes("\($1.key).".utf8) }
}

/// ustar holds 155 bytes of folders and 100 of file name.
private func checkLength(of key: String, _ pair: ImageFolder.Pair) throws {
    let fileName = key.utf8.reversed().prefix { $0 != UInt8(ascii: "/") }.count
    let ending = ([pair.image] + pair.texts + pair.masks).map(\.ending.utf8.count).max() ?? 0
    if fileName + 1 + max(ending, "jpeg".utf8.count) > 100 || key.utf8.count - fileName > 155 {
        throw PackReport.Problem(path: pair.image.path, reason: "name too long for a tar")
    }
}
