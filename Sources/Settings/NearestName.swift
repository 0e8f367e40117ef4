/// The name that takes the fewest edits (a letter added, left out, changed, or swapped with its neighbour) to reach
/// from what was written; the first of several; nil where there are no names.
public func nearestName(to written: String, among names: some Sequence<String>) -> String? {
    let written = Array(written.prefix(100).lowercased())
    return names.map { ($0, edits(from: written, to: Array($0.prefix(100).lowercased()))) }.min { $0.1 < $1.1 }?.0
}

/// The distance of Damerau and Levenshtein in its restricted form (optimal string alignment).
private func edits(from a: [Character], to b: [Character]) -> Int {
    var twoBack: [Int] = []
    var back = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var least = min(back[j + 1] + 1, row[j] + 1, back[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, twoBack[j - 1] + 1) }
            row.append(least)
        }
        (twoBack, back) = (back, row)
    }
    return back[b.count]
}
