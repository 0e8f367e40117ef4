import AdapterKit
import Cascade
import Failures
import JSON
import Settings

/// The kind of learned tokens: `train_tokens` of a configuration, and their files.
public struct TokensKind: AdapterKind {
    public let name = "tokens"
    public let rateKeys = ["token_lr"]
    static let startKey = "tokens.start"
    static let deltaKey = "tokens.delta"
    private static let requestsKey = "train_tokens"

    // MARK: Configuration

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
            make: { model, _ in try LearnedTokens.new(requests, text: Self.textEncoder(of: model)) })
    }

    private static func textEncoder(of model: AdaptedModel) throws -> TextEncoder {
        guard let text = model.text else { throw Failure.run("learned tokens need a text model") }
        return text
    }

    public func complete(_ reading: inout AdapterReading, from setting: Setting) {
        reading.tokens = (setting[Self.requestsKey]?.elements ?? []).compactMap { entry in
            guard let parts = entry.elements, parts.count == 2, let text = parts[0].text else { return nil }
            return .init(text: text, pattern: parts[1].isNull ? nil : parts[1].text)
        }
    }

    // MARK: Native files

    public func read(_ file: AdapterFile, for networks: AdaptedNetworks) throws -> (any Adapter)? {
        guard file.kinds.contains(name) else { return nil }
        if let text = networks.text { return try LearnedTokens(file, text: text) }
        return try networks.tower.map { try LearnedTokens(file, tower: $0) }
    }

    /// The deltas are trained, the starting vectors are not.
    public func parts(of file: AdapterFile) throws -> AdapterParts {
        AdapterParts(kind: name, shapes: [try StoredTokens(file).delta.shape])
    }

    public func facts(of file: AdapterFile) throws -> [(name: String, value: JSON)] {
        [("tokens", .array(try StoredTokens(file).rows.map { .string($0.text) }))]
    }

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
