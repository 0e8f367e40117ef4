/// Cuts normalised text into the pieces that are encoded each for itself: contractions, runs of letters, single
/// numbers, and runs of anything else but white space, which is dropped.
enum TextPieces {
    private enum Kind { case letter, number, space, other }

    private static let contractions = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"].map { Array($0.unicodeScalars) }

    /// A mark that is written out in other letters' case reaches this point; it stands for itself here, and the second
    /// cut that follows takes it apart at its letters.
    private static let marks = ["startoftext", "endoftext"].map { name in
        ["<|", name, "|>"].map { Array($0.unicodeScalars) }
    }

    static func cut(_ text: [Unicode.Scalar]) -> [ArraySlice<Unicode.Scalar>] {
        var pieces: [ArraySlice<Unicode.Scalar>] = []
        var start = 0
        while start < text.count {
            if let mark = marks.first(where: { text[start...].starts(with: $0.joined()) }) {
                for part in mark {
                    pieces.append(text[start..<start + part.count])
                    start += part.count
                }
                continue
            }
            let kind = kind(of: text[start])
            var end = start + 1
            if let contraction = contractions.first(where: { text[start...].starts(with: $0) }) {
                end = start + contraction.count
            } else if kind != .number {
                while end < text.count, self.kind(of: text[end]) == kind { end += 1 }
            }
            if kind != .space { pieces.append(text[start..<end]) }
            start = end
        }
        return pieces
    }

    private static func kind(of scalar: Unicode.Scalar) -> Kind {
        let properties = scalar.properties
        if properties.isWhitespace { return .space }
        // The regular expressions of the peer (tokenizers 0.23) know Unicode 16; what came later is no letter to them.
        if let age = properties.age, age.major > 16 { return .other }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        default: return .other
        }
    }
}
