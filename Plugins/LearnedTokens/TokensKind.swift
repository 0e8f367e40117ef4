import AdapterKit
import Cascade
import Failures
import JSON
import Settings

/// The kind of learned tokens: `train_tokens` of a configuration, and their files.
public struct TokensKind: AdapterKind {
    /// The name in files and messages.
    public let name = "tokens"
    /// `token_lr`, the learning rate of all tokens.
    public let rateKeys = ["token_lr"]
    static let startKey = "tokens.start"
    static let deltaKey = "tokens.delta"
    private static let requestsKey = "train_tokens"

    // MARK: Configuration

    /// Reads `train_tokens`.
    /// - Returns: nil where it is missing or empty.
    public func plan(_ fields: inout Fields) throws -> AdapterPlan? {
        guard let requests: [TokenRequest] = try fields.optional(Self.requestsKey), !requests.isEmpty else {
            return nil
        }
        return AdapterPlan(
            summary: { model in
                let text = try Self.textEncoder(of: model)
                let existing = try requests.filter { !$0.isNew }.flatMap {
                    try $0.ids(matching: $0.text, in: text.tokenizer)
                }
                let new = requests.filter(\.isNew).map(\.text)
                return "tokens: \(new.joined(separator: ", "))"
                    + (existing.isEmpty ? "" : " and \(Set(existing).count) of the vocabulary")
            },
            parts: { model in
                let (new, existing) = (requests.filter(\.isNew), requests.filter { !$0.isNew })
                guard let text = model.text else {
                    return AdapterParts(
                        kind: name, shapes: [[new.count, model.stageC.configuration.clipTextWidth]],
                        unknown: existing.isEmpty ? nil : "how many tokens the patterns match: no vocabulary is here")
                }
                let ids = try existing.flatMap { try $0.ids(matching: $0.text, in: text.tokenizer) }
                return AdapterParts(
                    kind: name, shapes: [[new.count + Set(ids).count, text.tower.configuration.width]])
            },
            make: { model, _ in try LearnedTokens.new(requests, text: Self.textEncoder(of: model)) },
            continuation: { file, model in
                let rows = try StoredTokens(file).rows
                let missing = try Self.missing(requests, from: rows, file, model.text?.tokenizer)
                let further = try missing.reduce(0) { count, request in
                    try count + (request.isNew ? 1 : model.text.map { try request.ids(in: $0.tokenizer).count } ?? 0)
                }
                let width = model.text?.tower.configuration.width ?? model.stageC.configuration.clipTextWidth
                return AdapterContinuation(
                    parts: AdapterParts(kind: name, shapes: [[rows.count + further, width]]),
                    added: missing.isEmpty ? nil : missing.map(\.text).joined(separator: ", ")
                ) { _ in
                    let text = try Self.textEncoder(of: model)
                    return try missing.isEmpty
                        ? LearnedTokens(file, text: text) : LearnedTokens(file, adding: missing, text: text)
                }
            })
    }

    /// The requests of a configuration that a file to start from does not hold.
    /// - Throws: a failure of the input where the file holds tokens that none asks for.
    private static func missing(
        _ requests: [TokenRequest], from rows: [LearnedRows.Row], _ file: AdapterFile, _ tokenizer: CLIPTokenizer?
    ) throws -> [TokenRequest] {
        let (new, ids) = (Set(rows.filter(\.isNew).map(\.text)), Set(rows.filter { !$0.isNew }.map(\.id)))
        var asked: Set<Int> = []
        var missing: [TokenRequest] = []
        for request in requests {
            if request.isNew {
                if !new.contains(request.text) { missing.append(request) }
                continue
            }
            // Without a vocabulary nobody knows which tokens it is for.
            guard let found = try tokenizer.map(request.ids) else { continue }
            asked.formUnion(found)
            let lacking = found.filter { !ids.contains($0) }
            guard lacking.count == 0 || lacking.count == found.count else {
                throw Failure.input(
                    "the file to start from has some of the tokens that a pattern of `train_tokens` finds",
                    at: request.place, expected: "all \(found.count) in \(file.path), or none",
                    got: "\(found.count - lacking.count)",
                    advice: "name those that are to be added by a pattern of their own")
            }
            if !lacking.isEmpty { missing.append(request) }
        }
        let names = Set(requests.filter(\.isNew).map(\.text))
        let strays = rows.filter { $0.isNew ? !names.contains($0.text) : tokenizer != nil && !asked.contains($0.id) }
        guard strays.isEmpty else {
            throw Failure.input(
                "`train_tokens` leaves out tokens of the file to start from", at: requests.first?.place,
                expected: "those of \(file.path), \(strays.map(\.text).joined(separator: ", ")) among them",
                got: requests.map(\.text).joined(separator: ", "),
                advice: "name them in `train_tokens`, or start without the file")
        }
        return missing
    }

    private static func textEncoder(of model: AdaptedModel) throws -> TextEncoder {
        guard let text = model.text else { throw Failure.run("learned tokens need a text model") }
        return text
    }

    /// Adds the texts and patterns of `train_tokens`, for files that hold vectors alone.
    public func complete(_ reading: inout AdapterReading, from setting: Setting) {
        reading.tokens = (setting[Self.requestsKey]?.elements ?? []).compactMap { entry in
            guard let parts = entry.elements, parts.count == 2, let text = parts[0].text else { return nil }
            return .init(text: text, pattern: parts[1].isNull ? nil : parts[1].text)
        }
    }

    // MARK: Native files

    /// The tokens for the text encoder that is here; nil where there is none.
    /// - Throws: a failure of the input where they are of another width or vocabulary.
    public func read(_ file: AdapterFile, for networks: AdaptedNetworks) throws -> (any Adapter)? {
        guard file.kinds.contains(name) else { return nil }
        if let text = networks.text { return try LearnedTokens(file, text: text) }
        return try networks.tower.map { try LearnedTokens(file, tower: $0) }
    }

    /// The deltas are trained, the starting vectors are not.
    public func parts(of file: AdapterFile) throws -> AdapterParts {
        AdapterParts(kind: name, shapes: [try StoredTokens(file).delta.shape])
    }

    /// The tokens' texts.
    public func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)] {
        [("tokens", .array(try StoredTokens(file).rows.map { .string($0.text) }))]
    }

    /// Rows of the text encoder's table: those of existing tokens changed, those of new ones added.
    public func changes(in file: AdapterFile) throws -> [WeightChange]? {
        guard file.kinds.contains(name) else { return nil }
        let stored = try StoredTokens(file)
        return [
            .rows(
                .init(
                    part: .clipText, key: "text_model.embeddings.token_embedding.weight",
                    rows: stored.rows.map { .init(id: $0.id, text: $0.text, isNew: $0.isNew) },
                    start: try stored.start?(), delta: try stored.delta()))
        ]
    }
}
