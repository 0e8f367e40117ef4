import Failures
import JSON

/// The values of a CLIP text tower, as transformers writes them to `config.json`.
public struct CLIPTextConfiguration: Equatable, Sendable {
    /// What stands between the two layers of a block's network.
    public enum Activation: String, Sendable, CaseIterable {
        case gelu
        /// x · sigmoid(1.702 x).
        case quickGELU = "quick_gelu"
    }

    /// `hidden_size`.
    public var width = 512
    /// `intermediate_size`.
    public var innerWidth = 2048
    /// `num_hidden_layers`.
    public var layers = 12
    /// `num_attention_heads`.
    public var heads = 8
    /// `vocab_size`.
    public var vocabulary = 49408
    /// `max_position_embeddings`: the longest text, in tokens.
    public var positions = 77
    /// `projection_dim`: width of the pooled output.
    public var projected = 512
    /// `hidden_act`.
    public var activation = Activation.quickGELU
    /// `layer_norm_eps`.
    public var epsilon = 1e-5
    /// `eos_token_id`, which decides where the text is pooled: see `CLIPTextTower`.
    public var endToken = 49407

    /// transformers' own values.
    public init() {}

    /// Reads a `config.json`, of a text tower or of a whole CLIP with its `text_config`. What it leaves out has
    /// transformers' value, what a text tower does not read is passed over.
    /// - Throws: a failure of the input that names the key.
    public init(_ json: JSON, file: String) throws {
        guard json.objectValue != nil else {
            throw Failure.input(
                "not a model's configuration", at: Failure.Place(file), expected: "an object", got: json.kind)
        }
        let whole = Reader(json: json, file: file)
        let reader = json["text_config"]?.objectValue == nil ? whole : Reader(json: json["text_config"], file: file)
        let wide = 1...Limits.width
        width = try reader.whole("hidden_size", wide) ?? width
        innerWidth = try reader.whole("intermediate_size", wide) ?? innerWidth
        layers = try reader.whole("num_hidden_layers", 1...Limits.layers) ?? layers
        heads = try reader.whole("num_attention_heads", wide) ?? heads
        vocabulary = try reader.whole("vocab_size", 1...(1 << 24)) ?? vocabulary
        positions = try reader.whole("max_position_embeddings", wide) ?? positions
        projected = try reader.whole("projection_dim", wide) ?? whole.whole("projection_dim", wide) ?? projected
        endToken = try reader.whole("eos_token_id", 0...Int(Int32.max)) ?? endToken
        activation = try reader.activation("hidden_act") ?? activation
        epsilon = try reader.positive("layer_norm_eps") ?? epsilon
        guard width % heads == 0 else {
            throw Failure.input(
                "`hidden_size` cannot be shared out among the heads", at: Failure.Place(file),
                expected: "a multiple of num_attention_heads, \(heads)", got: "\(width)")
        }
    }

    /// Members of one object; null is as good as left out.
    private struct Reader {
        let json: JSON?
        let file: String

        func whole(_ key: String, _ allowed: ClosedRange<Int>) throws -> Int? {
            guard let value = member(key) else { return nil }
            guard let number = value.intValue else { throw wrong(key, "a whole number", value) }
            try Limits.check(number, key, allowed, at: Failure.Place(file))
            return number
        }

        func positive(_ key: String) throws -> Double? {
            guard let value = member(key) else { return nil }
            guard let number = value.doubleValue, number > 0 else { throw wrong(key, "a number above 0", value) }
            return number
        }

        func activation(_ key: String) throws -> Activation? {
            guard let value = member(key) else { return nil }
            guard let activation = value.stringValue.flatMap(Activation.init(rawValue:)) else {
                throw wrong(key, Activation.allCases.map(\.rawValue).joined(separator: " or "), value)
            }
            return activation
        }

        private func member(_ key: String) -> JSON? {
            guard let value = json?[key], !value.isNull else { return nil }
            return value
        }

        private func wrong(_ key: String, _ expected: String, _ value: JSON) -> Failure {
            .input("`\(key)` has a wrong value", at: Failure.Place(file), expected: expected, got: value.text())
        }
    }
}
