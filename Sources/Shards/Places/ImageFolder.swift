import Glibc

/// The images of a folder and its subfolders, with the other files of the same name.
struct ImageFolder {
    struct File: Hashable, Sendable {
        /// What follows the last dot, in lower case.
        var ending: String
        var path: String
    }

    struct Pair: Equatable {
        /// The path within the folder, without ending.
        var name: String
        /// In a format that is read, or else in one that is not.
        var image: File
        /// One of each ending, sorted by it: texts, and whatever a `captions_getter` may ask for.
        var companions: [File] = []

        /// Masks of the image, as ``ImageFolder/maskName`` has them.
        var masks: [File] { companions.filter { $0.ending.hasPrefix("\(ImageFolder.maskName).") } }

        /// The files that make it a sample of its own: see ``ImageFolder/textEndings``.
        var texts: [File] { companions.filter { ImageFolder.textEndings.contains($0.ending) } }
    }

    /// The endings of what an image is told by.
    static let textEndings = ["caption", "json", "txt"]
    /// `NAME.mask.png` goes with `NAME.jpg`, as it does in a tar, and is no image of its own.
    static let maskName = "mask"
    /// Other files of more bytes are nothing that goes with an image.
    private static let mostCompanion = 4 << 20
    /// The reason for a file whose name is no text, so that no path leads to it.
    static let unnamed = "file name is not UTF-8"

    /// Sorted by name.
    private(set) var pairs: [Pair] = []
    /// Images without any text, sorted by name; the first where several have one name.
    private(set) var unpaired: [Pair] = []
    /// Images in formats that are not read, sorted by name.
    private(set) var unread: [Pair] = []
    /// Images and folders whose names are not UTF-8.
    private(set) var unnamed = 0
    /// What can't be packed.
    private(set) var problems: [PackReport.Problem] = []

    private typealias Found = [String: [String: [String]]]

    init(_ folder: String) throws {
        var found = Found()
        try visit(folder, within: "", into: &found)
        Self.joinMasks(&found)
        for (name, files) in found.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            add(name, files)
        }
    }

    /// Collects the files below a folder by name and by ending. Links to folders are not followed: they may go round
    /// in circles.
    private mutating func visit(_ folder: String, within: String, into found: inout Found) throws {
        let names = try namesInFolder(folder) { shown in
            let ending = Self.ending(of: shown)?.ending
            let isImage = ending.map(Self.isImage) ?? true
            guard isImage || ending.map(Self.textEndings.contains) == true else { return }
            unnamed += isImage ? 1 : 0
            problems.append(.init(path: "\(folder)/\(shown)", reason: Self.unnamed))
        }
        for entry in names {
            let path = "\(folder)/\(entry)"
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                try visit(path, within: "\(within)\(entry)/", into: &found)
            } else if let (name, ending) = Self.ending(of: entry), stat(path, &status) == 0,
                status.st_mode & S_IFMT == S_IFREG
            {
                let isKnown = Self.isImage(ending) || Self.textEndings.contains(ending)
                guard isKnown || status.st_size <= Self.mostCompanion else { continue }
                found[within + name, default: [:]][ending, default: []].append(path)
            }
        }
    }

    /// Makes masks members of their images.
    private static func joinMasks(_ found: inout Found) {
        for name in found.keys where name.hasSuffix(".\(maskName)") {
            let image = String(name.dropLast(maskName.count + 1))
            guard found[image]?.keys.contains(where: isImage) == true else { continue }
            for (ending, paths) in found[name] ?? [:] where isImage(ending) {
                found[image, default: [:]]["\(maskName).\(ending)", default: []] += paths
                found[name]?[ending] = nil
            }
            if found[name]?.isEmpty == true { found[name] = nil }
        }
    }

    /// A file's name split at its last dot; nil without one.
    private static func ending(of name: String) -> (name: Substring, ending: String)? {
        name.lastIndex(of: ".").map { (name[..<$0], name[name.index(after: $0)...].lowercased()) }
    }

    private static func isImage(_ ending: String) -> Bool {
        Sample.imageEndings.contains(ending) || Sample.unreadEndings.contains(ending)
    }

    private mutating func add(_ name: String, _ files: [String: [String]]) {
        func found(_ endings: [String]) -> [File] {
            endings.flatMap { ending in (files[ending] ?? []).map { File(ending: ending, path: $0) } }
        }
        let images = found(Sample.imageEndings)
        let others = found(Sample.unreadEndings)
        let companions = found(files.keys.filter { !Self.isImage($0) }.sorted())
        let texts = companions.filter { Self.textEndings.contains($0.ending) }
        var kept: [File] = []
        for file in companions where kept.last?.ending != file.ending { kept.append(file) }
        guard let image = images.first else {
            guard let other = others.first else {
                problems += texts.map { .init(path: $0.path, reason: "text without image") }
                return
            }
            problems += others.map { .init(path: $0.path, reason: Sample.unread($0.ending)) }
            unread.append(Pair(name: name, image: other, companions: kept))
            return
        }
        let pair = Pair(name: name, image: image, companions: kept)
        if texts.isEmpty {
            problems += images.map { .init(path: $0.path, reason: "image without text") }
            unpaired.append(pair)
            return
        }
        let spare = images.dropFirst() + others + texts.filter { !kept.contains($0) }
        problems += spare.map { .init(path: $0.path, reason: "another file has this name") }
        pairs.append(pair)
    }
}
