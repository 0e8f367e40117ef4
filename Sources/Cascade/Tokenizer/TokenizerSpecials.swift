import Failures
import Glibc
import JSON

/// The tokens with a role and the added ones, as the files beside a vocabulary name them.
struct TokenizerSpecials {
    /// What a token is for; the raw value is the key in the files.
    enum Role: String, CaseIterable {
        case start = "bos_token"
        case end = "eos_token"
        case unknown = "unk_token"
        case separator = "sep_token"
        case pad = "pad_token"
        case classification = "cls_token"
        case mask = "mask_token"

        /// The text where no file names one.
        var standard: String { self == .start ? "<|startoftext|>" : "<|endoftext|>" }

        var always: Bool { [.start, .end, .unknown, .pad].contains(self) }
    }

    private(set) var roles: [Role: String] = [:]
    /// In the order in which they take ids, with the id where a file states one.
    private(set) var tokens: [(token: AddedToken, id: Int?)] = []

    /// The files' order of precedence is transformers' (`PreTrainedTokenizerBase._from_pretrained`): what
    /// `tokenizer_config.json` says under `added_tokens_decoder` stands alone; without it the older
    /// `special_tokens_map.json` and `added_tokens.json` count, and `tokenizer.json`'s own list.
    init(folder: String, model: TokenizerModel) throws {
        var settings = try Self.object(folder + "/tokenizer_config.json")
        var stated: [Int: AddedToken] = [:]
        if let decoder = settings["added_tokens_decoder"]?.objectValue {
            for (key, value) in decoder {
                guard let id = Int(key) else {
                    throw Self.misfit(folder + "/tokenizer_config.json", "a number for each added token", .string(key))
                }
                stated[id] = try Self.token(value, folder + "/tokenizer_config.json")
            }
        } else {
            for (key, value) in try Self.object(folder + "/special_tokens_map.json") { settings[key] = value }
            let named = Set(Role.allCases.compactMap { settings[$0.rawValue].flatMap(Self.content) })
            for (text, value) in try Self.object(folder + "/added_tokens.json") {
                guard let id = value.intValue else {
                    throw Self.misfit(folder + "/added_tokens.json", "a number for \"\(text)\"", value)
                }
                stated[id] = AddedToken(content: text, normalized: !named.contains(text))
            }
            for value in model.addedTokens {
                guard let id = value["id"]?.intValue else {
                    throw Self.misfit(folder + "/tokenizer.json", "an id for each added token", value)
                }
                stated[id] = try Self.token(value, folder + "/tokenizer.json")
            }
        }
        tokens = stated.sorted { $0.key < $1.key }.map { ($0.value, $0.key) }

        for role in Role.allCases {
            let value = settings[role.rawValue] ?? .null
            if value.isNull && !role.always { continue }
            try insert(value.isNull ? .string(role.standard) : value, as: role, folder)
        }
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            for value in settings[key]?.arrayValue ?? [] { try insert(value, as: nil, folder) }
        }
    }

    /// A token whose id is stated keeps what is said there; of several roles with one text the last word counts.
    private mutating func insert(_ value: JSON, as role: Role?, _ folder: String) throws {
        var token = try Self.token(value, folder)
        if value["normalized"] == nil { token.normalized = false }
        if let role { roles[role] = token.content }
        guard let place = tokens.firstIndex(where: { $0.token.content == token.content }) else {
            return tokens.append((token, nil))
        }
        if tokens[place].id == nil { tokens[place].token = token }
    }

    private static func content(_ value: JSON) -> String? { value.stringValue ?? value["content"]?.stringValue }

    /// A token written as its text alone or as an object.
    private static func token(_ value: JSON, _ file: String) throws -> AddedToken {
        guard let content = content(value), !content.isEmpty else {
            throw misfit(file, "the text of a special token", value)
        }
        guard value["single_word"]?.boolValue != true else {
            throw misfit(file, "added tokens that are found within words too (single_word: false)", value)
        }
        // White space beside a token makes no token, so that lstrip and rstrip change nothing.
        let special = value["special"]?.boolValue ?? false
        return AddedToken(content: content, normalized: value["normalized"]?.boolValue ?? !special)
    }

    /// The members of a JSON file; none where there is no such file.
    private static func object(_ path: String) throws -> JSON.Object {
        guard access(path, F_OK) == 0 else { return JSON.Object() }
        let json = try JSON.read(path)
        guard let object = json.objectValue else { throw misfit(path, "an object", json) }
        return object
    }

    private static func misfit(_ path: String, _ expected: String, _ value: JSON) -> Failure {
        .input("the tokenizer's files do not fit", at: Failure.Place(path), expected: expected, got: value.kind)
    }
}
