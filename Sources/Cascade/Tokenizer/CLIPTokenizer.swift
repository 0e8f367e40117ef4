import Failures

/// CLIP's tokenizer: lower-cased byte-pair encoding with a start and an end mark, as transformers' `CLIPTokenizer`.
///
/// The folder holds `tokenizer.json` alone, or `vocab.json` and `merges.txt`; beside them may lie
/// `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`, which name the padding and other tokens.
public struct CLIPTokenizer: Sendable {
    /// Tokens of a padded prompt, start and end included.
    public static let length = 77

    /// The id of `<|startoftext|>`, before every text.
    public let startID: Int
    /// The id of `<|endoftext|>`, behind every text.
    public let endID: Int
    /// The id that fills a short text up to 77.
    public let padID: Int
    /// One past the largest id there is.
    public private(set) var size: Int

    /// The tokens that the folder names, by id.
    private let vocabulary: [(token: String, id: Int)]
    private let known: [String: Int]
    private let encoding: BytePairEncoding
    private var added: AddedTokens

    /// - Throws: Where the files are missing, do not fit together, or belong to another kind of tokenizer.
    public init(folder: String) throws {
        let model = try TokenizerModel(folder: folder)
        let special = try TokenizerSpecials(folder: folder, model: model)
        let place = Failure.Place(folder)
        var known = model.known
        var size = (known.values.max() ?? -1) + 1
        var added = AddedTokens()
        for (token, stated) in special.tokens {
            let id = known[token.content] ?? size
            guard stated == nil || stated == id else {
                throw Failure.input(
                    "the added token \"\(token.content)\" has a number that is not the next free one", at: place,
                    expected: "\(id)", got: "\(stated ?? id)")
            }
            try added.insert(token, id: id)
            known[token.content] = id
            size = max(size, id + 1)
        }
        func id(of role: TokenizerSpecials.Role) throws -> Int {
            let token = special.roles[role] ?? role.standard
            guard let id = known[token] else {
                throw Failure.input("the vocabulary lacks \"\(token)\", the \(role.rawValue)", at: place)
            }
            return id
        }
        startID = try id(of: .start)
        endID = try id(of: .end)
        padID = try id(of: .pad)
        encoding = try model.encoding(unknown: id(of: .unknown))
        vocabulary = known.map { ($0.key, $0.value) }.sorted { $0.id < $1.id }
        self.known = known
        self.size = size
        self.added = added
    }

    /// Adds a token and gives its id: the next free one, or the one that the vocabulary already has for this text.
    ///
    /// It is found wherever its text stands, within words too, in any case; what touches it is encoded for itself.
    /// - Throws: Where the text is empty, or another added token differs from it only in case or composition.
    public mutating func addToken(_ text: String) throws -> Int {
        guard !text.isEmpty else { throw Failure.input("an added token without text") }
        if let id = added.id(of: text) { return id }
        let id = known[text] ?? size
        try added.insert(AddedToken(content: text), id: id)
        size = max(size, id + 1)
        return id
    }

    /// The ids of a text between start and end; of a longer one the first 75 with both.
    public func encode(_ text: String) -> [Int] {
        let room = Self.length - 2
        return [startID] + ids(of: text, atLeast: room).prefix(room) + [endID]
    }

    /// How many ids a text has with start and end, also those that ``encode(_:)`` cuts off.
    public func count(_ text: String) -> Int { ids(of: text, atLeast: .max).count + 2 }

    /// The ids of a text, or of its beginning where that has as many as are wanted.
    private func ids(of text: String, atLeast wanted: Int) -> [Int] {
        var ids: [Int] = []
        for part in added.split(text) where ids.count < wanted {
            switch part {
            case .token(let id): ids.append(id)
            case .text(let text):
                for piece in TextPieces.cut(Array(text)) where ids.count < wanted {
                    ids += encoding.encode(piece).lazy.map(Int.init)
                }
            }
        }
        return ids
    }

    /// The ids filled up to 77 with the padding id, and a mask that is 1 where a token stands and 0 where padding does.
    public func encodePadded(_ text: String) -> (ids: [Int], mask: [Int]) {
        let ids = encode(text)
        let missing = Self.length - ids.count
        return (
            ids + Array(repeating: padID, count: missing),
            Array(repeating: 1, count: ids.count) + Array(repeating: 0, count: missing)
        )
    }

    /// The text of one of the folder's tokens, as the vocabulary has it.
    public func token(_ id: Int) -> String? { vocabulary.first { $0.id == id }?.token }

    /// The ids of the folder's tokens in which a regular expression is found, ascending; `^dog</w>` finds the whole
    /// word. Tokens added later are not searched.
    /// - Throws: Where this is no regular expression.
    public func ids(matching pattern: String) throws -> [Int] {
        let regex: Regex<AnyRegexOutput>
        do {
            regex = try Regex(pattern).matchingSemantics(.unicodeScalar)
        } catch {
            throw Failure.input("not a regular expression (\(error))", got: pattern)
        }
        return try vocabulary.filter { try regex.firstMatch(in: $0.token) != nil }.map(\.id)
    }
}
