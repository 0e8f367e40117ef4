import Cascade
import Failures
import Settings

/// One entry of `train_tokens`: a new token and what it starts from, or a pattern of tokens that exist.
///
/// `[…]` and `<…>` name new tokens; anything else is a regular expression that is searched in the vocabulary's keys.
struct TokenRequest: SettingReadable, Sendable {
    let text: String
    /// What a new token starts from: the average of the tokens that match; nil starts from zeros.
    let start: String?
    let place: Failure.Place

    static let expectation = "a token or pattern, and the pattern it starts from or null"

    static func read(_ setting: Setting) throws -> TokenRequest {
        guard let parts = setting.elements, parts.count == 2, let text = parts[0].text, !text.isEmpty else {
            throw setting.refusal(expected: expectation, advice: "such as ['[fernando]', '^dog</w>']")
        }
        return TokenRequest(text: text, start: parts[1].isNull ? nil : parts[1].text, place: setting.place)
    }

    var isNew: Bool {
        (text.hasPrefix("[") && text.hasSuffix("]")) || (text.hasPrefix("<") && text.hasSuffix(">"))
    }

    /// The ids of the vocabulary that a pattern finds.
    /// - Throws: a failure of the input where there are none.
    func ids(in tokenizer: CLIPTokenizer) throws -> [Int] { try ids(matching: text, in: tokenizer) }

    func ids(matching pattern: String, in tokenizer: CLIPTokenizer) throws -> [Int] {
        try Self.ids(matching: pattern, in: tokenizer, at: place)
    }

    static func ids(matching pattern: String, in tokenizer: CLIPTokenizer, at place: Failure.Place?) throws -> [Int] {
        let ids: [Int]
        do {
            ids = try tokenizer.ids(matching: pattern)
        } catch var failure as Failure {
            failure.place = place
            throw failure
        }
        guard !ids.isEmpty else {
            throw Failure.input(
                "`train_tokens` has a pattern that no token of the vocabulary matches", at: place, got: pattern,
                advice: "a whole word ends with </w>: '^dog</w>'")
        }
        return ids
    }
}
