import JSON

/// Where a sample's caption comes from: the first source in a chain that has one.
public struct Captions: Equatable, Sendable {
    /// One place of a sample that may hold a caption.
    public enum Source: Equatable, Sendable {
        /// The text of a member, such as `txt`.
        case member(String)
        /// A string in the sample's JSON, by its field.
        case field(String)
        /// What the official training data has: `caption`, or one time in twenty the `og_caption` within the JSON that
        /// `old_caption` holds as a string, unless that is empty.
        ///
        /// Source: the reference's `train/base.py`.
        case official
    }

    /// The sources in the order in which they are asked; at least one.
    public let chain: [Source]

    /// - Parameter chain: at least one source.
    public init(_ chain: [Source] = [.member("txt")]) {
        precondition(!chain.isEmpty, "a caption comes from somewhere")
        self.chain = chain
    }

    /// Whether a source looks into the sample's JSON.
    var wantFields: Bool {
        chain.contains { source in
            if case .member = source { false } else { true }
        }
    }

    private static let shareOfOriginals = 0.05

    /// The caption, or why there is none.
    /// - Parameter draw: a number in 0..<1 that decides where chance has a say.
    func caption(of facts: SampleFacts, draw: Double = 1) -> Result<String, Absence> {
        var reason = Absence.missing
        for source in chain {
            switch Self.text(source, facts, draw) {
            case .success(let text): return .success(Self.withoutMarks(text))
            case .failure(.missing): continue
            case .failure(let other): reason = other
            }
        }
        return .failure(reason)
    }

    /// A text without byte order marks, which Windows' editors put in front and joined files have in their midst.
    private static func withoutMarks(_ text: String) -> String {
        let mark: Unicode.Scalar = "\u{FEFF}"
        guard text.unicodeScalars.contains(mark) else { return text }
        return String(String.UnicodeScalarView(text.unicodeScalars.filter { $0 != mark }))
    }

    /// Why a sample has no caption, as it is counted.
    enum Absence: String, Error {
        case missing = "no caption"
        case fields = "json cannot be read"
        case encoding = "caption is not UTF-8"
    }

    private static func text(_ source: Source, _ facts: SampleFacts, _ draw: Double) -> Result<String, Absence> {
        switch source {
        case .member(let ending):
            guard let bytes = facts.sample.members[ending] else { return .failure(.missing) }
            guard let text = String(validating: bytes, as: UTF8.self) else { return .failure(.encoding) }
            return .success(text)
        case .field(let name):
            if facts.isUnreadable { return .failure(.fields) }
            guard let text = facts[name]?.stringValue else { return .failure(.missing) }
            return .success(text)
        case .official:
            let old = facts["old_caption"]?.stringValue
            if draw < shareOfOriginals, let old,
                let original = try? JSON.parse(old, file: facts.sample.place, as: .python)["og_caption"]?.stringValue,
                !withoutMarks(original).isEmpty
            {
                return .success(original)
            }
            return text(.field("caption"), facts, draw)
        }
    }
}
