/// The imports that bring nothing a file uses, told by names alone.
///
/// An import counts as used where the file has the name of a type or function of the module, or of a member that no other
/// module has.
struct UnusedImports {
    /// The names that files of one module offer others.
    private struct Names {
        /// Types, and functions and values outside of types.
        var types: Set<Substring> = []
        /// Members too.
        var all: Set<Substring> = []
    }

    /// `PATH imports MODULE`, in order.
    let complaints: [String]

    /// - Parameter files: of all modules, each with its text.
    init(_ files: [(file: SourceTree.File, text: String)]) {
        var modules: [String: Names] = [:]
        var words: [Set<Substring>] = []
        for (file, text) in files {
            let lines = Self.code(text)
            words.append(Set(lines.flatMap(\.words)))
            for line in lines { Self.read(line, into: &modules[file.target, default: Names()]) }
        }
        var owners: [Substring: Int] = [:]
        for name in modules.values.flatMap(\.all) { owners[name, default: 0] += 1 }
        var complaints: [String] = []
        for ((file, _), words) in zip(files, words) {
            for module in file.names where module != file.target {
                guard let names = modules[module] else { continue }
                let isUsed =
                    !words.isDisjoint(with: names.types)
                    || words.contains { names.all.contains($0) && owners[$0] == 1 }
                if !isUsed { complaints.append("\(file.path) imports \(module)") }
            }
        }
        self.complaints = complaints
    }

    private static let typeWords: Set<Substring> = [
        "struct", "class", "enum", "protocol", "typealias", "actor",
    ]
    private static let memberWords: Set<Substring> = ["func", "var", "let", "case"]

    private typealias Line = (words: [Substring], isIndented: Bool)

    /// Adds what a line of code declares for others.
    private static func read(_ line: Line, into names: inout Names) {
        let words = line.words
        // Public declarations, and the requirements of protocols and cases, which have no word before them.
        guard let first = words.first, first == "public" || first == "static" || memberWords.contains(first) else {
            return
        }
        for (word, name) in zip(words, words.dropFirst()) {
            if typeWords.contains(word) || memberWords.contains(word) { names.all.insert(name) }
            let isFree = first == "public" && !line.isIndented && words[1] == word
            if typeWords.contains(word) || isFree { names.types.insert(name) }
        }
        if first == "case" { names.all.formUnion(words.dropFirst()) }
    }

    /// The words of a file line by line, without imports and comments.
    private static func code(_ text: String) -> [Line] {
        text.split(separator: "\n").compactMap { line in
            let trimmed = line.drop { $0 == " " }
            if trimmed.hasPrefix("//") || trimmed.hasPrefix("import ") { return nil }
            let words = trimmed.split { !($0.isLetter || $0.isNumber || $0 == "_") }
            return words.isEmpty ? nil : (words, line.first == " ")
        }
    }
}
