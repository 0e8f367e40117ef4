import Glibc

/// The pictures of a folder and its subfolders, with the texts of the same name.
struct PictureFolder {
    struct Pair: Equatable {
        /// The path within the folder, without ending.
        var name: String
        var picture: String
        var text: String?
        var json: String?

        /// `jpg`, say, in lower case.
        var pictureEnding: String {
            let dot = picture.utf8.lastIndex(of: UInt8(ascii: ".")) ?? picture.startIndex
            return picture[dot...].dropFirst().lowercased()
        }
    }

    /// Sorted by name.
    private(set) var pairs: [Pair] = []
    /// Pictures without any text, sorted by name; the first where several have one name.
    private(set) var unpaired: [Pair] = []
    /// What can't be packed.
    private(set) var problems: [PackReport.Problem] = []

    init(_ folder: String) throws {
        var found: [String: [String: [String]]] = [:]
        try PictureFolder.visit(folder, within: "", into: &found)
        for (name, files) in found.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
            add(name, files)
        }
    }

    /// Collects the files below a folder by name and by ending. Links to folders are not followed: they may go round
    /// in circles.
    private static func visit(_ folder: String, within: String, into found: inout [String: [String: [String]]]) throws {
        for entry in try namesInFolder(folder) {
            let path = "\(folder)/\(entry)"
            var status = stat()
            guard lstat(path, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                try visit(path, within: "\(within)\(entry)/", into: &found)
            } else if let dot = entry.lastIndex(of: "."), stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG {
                let ending = entry[entry.index(after: dot)...].lowercased()
                guard ending == "txt" || ending == "json" || Sample.pictureEndings.contains(ending) else { continue }
                found[within + entry[..<dot], default: [:]][ending, default: []].append(path)
            }
        }
    }

    private mutating func add(_ name: String, _ files: [String: [String]]) {
        let pictures = Sample.pictureEndings.flatMap { files[$0] ?? [] }
        let texts = files["txt"] ?? []
        let jsons = files["json"] ?? []
        guard let picture = pictures.first else {
            problems += (texts + jsons).map { .init(path: $0, reason: "text without picture") }
            return
        }
        if texts.isEmpty && jsons.isEmpty {
            problems += pictures.map { .init(path: $0, reason: "picture without text") }
            unpaired.append(Pair(name: name, picture: picture))
            return
        }
        for spare in [pictures, texts, jsons].flatMap({ $0.dropFirst() }) {
            problems.append(.init(path: spare, reason: "another file has this name"))
        }
        pairs.append(Pair(name: name, picture: picture, text: texts.first, json: jsons.first))
    }
}
