import Cascade

extension Checkpoint {
    /// Which of several sets of weights a work takes, for people; nil where the file has the part once.
    /// - Parameter what: what happens to the one that counts: "changed".
    func noteOnPlaces(of part: ModelPart, _ what: String) -> String? {
        guard let (used, others) = places(of: part) else { return nil }
        func named(_ prefix: String) -> String { prefix.isEmpty ? "without a prefix" : "under `\(prefix)`" }
        return "\(file.path): the \(part.description) is there \(others.count + 1) times, such as live and averaged "
            + "weights: the one \(named(used)) is \(what), and left as it is: "
            + others.map(named).joined(separator: ", ")
    }
}
