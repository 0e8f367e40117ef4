import Failures
import Files

/// The names that a pattern with braces stands for, in order: `{0000..0127}` counts (with the zeros of its first
/// number), `{a,b}` lists.
///
/// More than a million names are a failure of the input.
/// - Parameter keepsOthers: whether braces that mean neither stay as they are, as in a shell command; else they are
///   failures of the input.
func expandBraces(_ pattern: String, keepsOthers: Bool = false) throws -> [String] {
    let most = 1_000_000
    var names = [""]
    var rest = pattern[...]
    while let opening = rest.firstIndex(of: "{") {
        let inside = rest[rest.index(after: opening)...]
        let closing = inside.firstIndex { $0 == "{" || $0 == "}" }
        let isPair = closing.map { inside[$0] == "}" } ?? false
        let isVariable = rest[..<opening].last == "$"
        if keepsOthers, isVariable || !isPair || !isRangeOrList(inside[..<(closing ?? inside.startIndex)]) {
            names = names.map { $0 + rest[...opening] }
            rest = inside
            continue
        }
        guard isPair, let closing else {
            throw Failure.input("braces that don't match", expected: "{0000..0127} or {a,b}", got: "'\(pattern)'")
        }
        let choices = try alternatives(inside[..<closing], in: pattern, atMost: most / names.count)
        let before = rest[..<opening]
        names = names.flatMap { name in choices.map { name + before + $0 } }
        rest = inside[inside.index(after: closing)...]
    }
    return names.map { $0 + rest }
}

private func isRangeOrList(_ inside: Substring) -> Bool {
    if inside.contains(",") { return true }
    let ends = inside.split(separator: "..", omittingEmptySubsequences: false)
    return ends.count == 2 && ends.allSatisfy { !$0.isEmpty && wholeNumber($0) != nil }
}

/// What one pair of braces stands for.
private func alternatives(_ inside: Substring, in pattern: String, atMost most: Int) throws -> [String] {
    let list = inside.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    if list.count > most { throw tooMany(pattern) }
    if list.count > 1 { return list }
    let ends = inside.split(separator: "..", omittingEmptySubsequences: false)
    guard ends.count == 2, let first = wholeNumber(ends[0]), let last = wholeNumber(ends[1]), first <= last else {
        throw Failure.input(
            "braces without a range", expected: "{0000..0127} or {a,b}", got: "'{\(inside)}' in '\(pattern)'")
    }
    if last - first >= most { throw tooMany(pattern) }
    let digits = ends[0].first == "0" ? ends[0].count : 1
    return (first...last).map { zeroPadded($0, digits: digits) }
}

/// A number of ASCII digits alone.
private func wholeNumber(_ text: Substring) -> Int? {
    text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
}

private func tooMany(_ pattern: String) -> Failure {
    .input("a pattern that stands for more than a million shards", got: "'\(pattern)'")
}
