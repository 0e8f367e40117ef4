import AdapterKit
import Cascade
import Failures
import Torch

/// Textual inversion (Gal et al. 2022) of new words and of words that exist: rows of the text encoder's table with a
/// trained delta.
public final class LearnedTokens: Adapter {
    /// The kind, to be registered.
    public static let kind = TokensKind()
    /// Always ``TokensKind``.
    public var kind: any AdapterKind { Self.kind }

    private let tower: CLIPTextTower
    private let learned: LearnedRows

    private init(_ rows: [LearnedRows.Row], start: Tensor, delta: Tensor, tower: CLIPTextTower) throws {
        self.tower = tower
        let device = tower.tokenTable.weight.device
        learned = try LearnedRows(
            rows: rows, start: start.to(device: device), delta: delta.to(device: device), table: tower.tokenTable)
    }

    /// Tokens that start as the requests say, with deltas of zero.
    static func new(_ requests: [TokenRequest], text: TextEncoder) throws -> LearnedTokens {
        let (rows, start) = try begun(requests, text, before: text.tokenizer)
        return try LearnedTokens(
            rows, start: start, delta: .zeros([rows.count, start.size(1)]), tower: text.tower)
    }

    /// The tokens of a file, and after them others that start as the requests say.
    convenience init(_ file: AdapterFile, adding requests: [TokenRequest], text: TextEncoder) throws {
        // The file's tokens keep the ids that they get without the others.
        let before = text.tokenizer
        let old = try LearnedTokens(file, text: text).learned
        let (rows, start) = try Self.begun(requests, text, before: before)
        let delta = try withoutGradients {
            try Tensor.concatenated(
                [old.delta.detached(), .zeros(start.shape, device: old.delta.device)], dimension: 0)
        }
        try self.init(
            old.rows + rows, start: .concatenated([old.start, start.to(device: old.start.device)], dimension: 0),
            delta: delta, tower: text.tower)
    }

    /// New rows, and where they start, [k, c], float32.
    private static func begun(
        _ requests: [TokenRequest], _ text: TextEncoder, before: CLIPTokenizer
    ) throws -> (rows: [LearnedRows.Row], start: Tensor) {
        let table = text.tower.tokenTable.weight
        // Patterns see the vocabulary as it was: none of the new tokens can match another's.
        var rows: [LearnedRows.Row] = []
        var starts: [Tensor] = []
        for request in requests {
            if request.isNew {
                let start = try LearnedRows.start(of: request.start, in: before, table, at: request.place)
                let known = before.size
                let id = try text.tokenizer.addToken(request.text)
                guard id >= known else {
                    throw Failure.input(
                        "`train_tokens` names a token that exists already", at: request.place, got: request.text,
                        advice: "to train it, give it as a pattern without [ ] or < >")
                }
                rows.append(.init(id: id, text: request.text, isNew: true, pattern: request.start))
                starts.append(start)
            } else {
                for id in try request.ids(matching: request.text, in: before) {
                    rows.append(
                        .init(id: id, text: before.token(id) ?? request.text, isNew: false, pattern: request.text))
                    starts.append(try table.selected(0, id).to(dtype: .float32))
                }
            }
        }
        if let twice = Dictionary(grouping: rows, by: \.id).first(where: { $0.value.count > 1 })?.value.first {
            throw Failure.input("`train_tokens` names a token twice", at: requests[0].place, got: twice.text)
        }
        return (rows, try .stacked(starts))
    }

    // MARK: Changing the model

    /// The deltas of all tokens as one tensor, [k, c], float32.
    public var parameters: [(name: String, tensor: Tensor)] { [(TokensKind.deltaKey, learned.delta)] }

    /// False: a token's vector has no reason to become small.
    public let decays = false

    /// Multiplies the deltas; 1 as they were trained, 0 leaves the vectors where they start.
    public var strength: Double {
        get { learned.strength }
        set { learned.strength = newValue }
    }

    /// - Throws: a failure of the input where other tokens are attached already.
    public func attach() throws {
        guard tower.tokenEmbedding === tower.tokenTable || tower.tokenEmbedding === learned else {
            throw Failure.input("two adapters with learned tokens for one text model", expected: "at most one")
        }
        tower.tokenEmbedding = learned
    }

    /// Gives the text encoder its own table again.
    public func detach() {
        if tower.tokenEmbedding === learned { tower.tokenEmbedding = tower.tokenTable }
    }

    /// Writes the vectors into the text encoder's table.
    /// - Throws: a failure of the input where a token is new, for which the table has no row.
    public func fuse() throws {
        guard learned.rows.allSatisfy({ !$0.isNew }) else {
            throw Failure.input(
                "a new token has no row in the base's table", advice: "keep the adapter beside the base")
        }
        let table = tower.tokenTable.weight
        for (index, row) in learned.rows.enumerated() {
            let value = try learned.value(at: index)
            try table.selected(0, row.id).assign(value)
        }
    }

    // MARK: The file

    /// Adds the tokens' texts and ids, the vectors they started from and the deltas.
    public func write(to contents: inout AdapterContents) throws {
        contents.add(kind: kind.name)
        contents.describe("tokens", StoredTokens.describe(learned.rows))
        contents.tensors += [(TokensKind.startKey, learned.start), (TokensKind.deltaKey, learned.delta)]
    }

    /// The tokens of a file for a text model; a new one gets the tokenizer's next free id.
    public convenience init(_ file: AdapterFile, text: TextEncoder) throws {
        let stored = try StoredTokens(file)
        let start = try stored.start?() ?? RelativeTokens.starts(of: stored.rows, text)
        try self.init(stored, file, start: start, tower: text.tower) { try text.tokenizer.addToken($0.text) }
    }

    /// The tokens of a file for a text encoder without tokenizer; a new one keeps the id it has in the file.
    public convenience init(_ file: AdapterFile, tower: CLIPTextTower) throws {
        let stored = try StoredTokens(file)
        let start =
            try stored.start?()
            ?? Tensor.stacked(
                stored.rows.map { row in
                    guard !row.isNew, row.id < tower.tokenTable.count else {
                        throw Failure.input(
                            "the file does not say where its new token \(row.text) starts",
                            at: Failure.Place(file.path),
                            advice: "export it to native first, with --clip-text FOLDER")
                    }
                    return try tower.tokenTable.weight.selected(0, row.id)
                })
        try self.init(stored, file, start: start, tower: tower) { $0.id }
    }

    private convenience init(
        _ stored: StoredTokens, _ file: AdapterFile, start: Tensor, tower: CLIPTextTower,
        newID: (LearnedRows.Row) throws -> Int
    ) throws {
        let place = Failure.Place(file.path)
        guard stored.width == tower.configuration.width else {
            throw Failure.input(
                "the learned tokens do not fit this text model", at: place,
                expected: "shape [\(stored.rows.count), \(tower.configuration.width)]", got: "\(stored.delta.shape)")
        }
        let rows = try stored.rows.map { row in
            let id = try row.isNew ? newID(row) : row.id
            guard row.isNew || id < tower.tokenTable.count else {
                throw Failure.input("a learned token is not in this vocabulary", at: place, got: row.text)
            }
            return LearnedRows.Row(id: id, text: row.text, isNew: row.isNew, pattern: row.pattern)
        }
        // Copies: what is trained must not be a view of the file.
        try self.init(
            rows, start: start.to(dtype: .float32).cloned(), delta: stored.delta().to(dtype: .float32).cloned(),
            tower: tower)
    }
}
