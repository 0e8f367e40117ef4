import Failures

/// Where tensors stand in a list, found by their names byte by byte.
///
/// Swift takes two texts for equal that differ by Unicode's normal form alone. Names in files are bytes: one spelling
/// never finds the other, and a file that has both is refused, for whatever lies above keeps tensors by name.
public struct TensorPositions: Sendable {
    private let entries: [TensorEntry]
    private let positions: [String: Int]

    /// The positions of what a file holds.
    /// - Throws: a failure of the input where two names are equal, or differ by their normal form alone.
    public init(of entries: [TensorEntry], in path: String) throws {
        var positions: [String: Int] = [:]
        for (position, entry) in entries.enumerated() {
            guard let other = positions.updateValue(position, forKey: entry.name) else { continue }
            throw Failure.input(
                "two tensors of the file have one name, however it is spelled in Unicode", at: .init(path),
                expected: "names that differ in more than their normal form",
                got: "`\(entry.name)` in \(entries[other].name.utf8.count) and in \(entry.name.utf8.count) bytes",
                advice: "rename one of them in the program that wrote the file")
        }
        self.entries = entries
        self.positions = positions
    }

    /// The positions of a view of tensors whose names are known to differ.
    public init(ofView entries: [TensorEntry]) {
        self.entries = entries
        positions = Dictionary(entries.enumerated().map { ($1.name, $0) }) { first, _ in first }
    }

    /// The position of exactly this spelling; nil where the list has none.
    public subscript(name: String) -> Int? {
        positions[name].flatMap { entries[$0].name.utf8.elementsEqual(name.utf8) ? $0 : nil }
    }
}
