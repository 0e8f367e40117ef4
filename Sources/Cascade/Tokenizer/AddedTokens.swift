import Failures

/// A token that is cut out of the text before anything else is done to it.
struct AddedToken: Sendable {
    var content: String
    /// Searched in the normalised text, in any case therefore; otherwise in the text as it is.
    var normalized = true
}

/// The added tokens of a tokenizer, searched leftmost first and, of several at one place, the longest.
struct AddedTokens: Sendable {
    enum Part: Equatable {
        case token(Int)
        case text(ArraySlice<Unicode.Scalar>)
    }

    /// The tokens of one kind, by their first scalar, the longest first.
    private struct Patterns: Sendable {
        private(set) var byFirst: [Unicode.Scalar: [(scalars: [Unicode.Scalar], id: Int)]] = [:]

        func id(of scalars: [Unicode.Scalar]) -> Int? {
            scalars.first.flatMap { byFirst[$0] }?.first { $0.scalars == scalars }?.id
        }

        mutating func insert(_ scalars: [Unicode.Scalar], _ id: Int) {
            guard let first = scalars.first else { return }
            byFirst[first, default: []].append((scalars, id))
            byFirst[first]?.sort { $0.scalars.count > $1.scalars.count }
        }

        func split(_ text: ArraySlice<Unicode.Scalar>) -> [Part] {
            guard !byFirst.isEmpty else { return [.text(text)] }
            var parts: [Part] = []
            var start = text.startIndex
            var position = start
            while position < text.endIndex {
                guard let match = byFirst[text[position]]?.first(where: { text[position...].starts(with: $0.scalars) })
                else {
                    position += 1
                    continue
                }
                if start < position { parts.append(.text(text[start..<position])) }
                parts.append(.token(match.id))
                position += match.scalars.count
                start = position
            }
            if start < position { parts.append(.text(text[start..<position])) }
            return parts
        }
    }

    private var verbatim = Patterns()
    private var normalized = Patterns()
    /// Ids by the tokens' own text.
    private(set) var ids: [[Unicode.Scalar]: Int] = [:]

    func id(of content: String) -> Int? { ids[Array(content.unicodeScalars)] }

    /// - Throws: Where another token is found by the same text.
    mutating func insert(_ token: AddedToken, id: Int) throws {
        let content = Array(token.content.unicodeScalars)
        let pattern = token.normalized ? TextNormalizer.normalize(content) : content
        let other = token.normalized ? normalized.id(of: pattern) : verbatim.id(of: pattern)
        if let other, other != id {
            throw Failure.input("the token \"\(token.content)\" reads in a text like token \(other), added before")
        }
        ids[content] = id
        guard other == nil else { return }
        if token.normalized { normalized.insert(pattern, id) } else { verbatim.insert(pattern, id) }
    }

    /// Tokens, and the normalised text between them.
    func split(_ text: String) -> [Part] {
        verbatim.split(Array(text.unicodeScalars)[...]).flatMap { part -> [Part] in
            guard case .text(let raw) = part else { return [part] }
            return normalized.split(TextNormalizer.normalize(raw)[...])
        }
    }
}
