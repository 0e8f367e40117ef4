import Failures
import JSON

/// The values that both towers of CLIP have, as transformers writes them to `config.json`.
public protocol CLIPTowerConfiguration: Equatable, Sendable {
    /// `hidden_size`.
    var width: Int { get set }
    /// `intermediate_size`.
    var innerWidth: Int { get set }
    /// `num_hidden_layers`.
    var layers: Int { get set }
    /// `num_attention_heads`.
    var heads: Int { get set }
    /// `projection_dim`: width of what the tower yields.
    var projected: Int { get set }
    /// `hidden_act`.
    var activation: CLIPActivation { get set }
    /// `layer_norm_eps`.
    var epsilon: Double { get set }
}

/// What stands between the two layers of a block's network.
public enum CLIPActivation: String, Sendable, CaseIterable {
    /// By the error function (Hendrycks and Gimpel 2016).
    case gelu
    /// x · sigmoid(1.702 x).
    case quickGELU = "quick_gelu"
}

/// Members of a `config.json`, of one tower or of a whole CLIP with the tower's object in it; null is as good as left
/// out.
struct CLIPConfigurationReader {
    private let outer: JSON
    private let part: JSON
    private let file: String

    /// - Parameter tower: the key of the tower's object in the configuration of a whole CLIP.
    init(_ json: JSON, tower: String, file: String) throws {
        guard json.objectValue != nil else {
            throw Failure.input(
                "not a model's configuration", at: Failure.Place(file), expected: "an object", got: json.kind)
        }
        outer = json
        if let tower = json[tower], tower.objectValue != nil { part = tower } else { part = json }
        self.file = file
    }

    /// Reads what both towers have over the values that stand.
    func read(into c: inout some CLIPTowerConfiguration) throws {
        let wide = 1...Limits.width
        c.width = try whole("hidden_size", wide) ?? c.width
        c.innerWidth = try whole("intermediate_size", wide) ?? c.innerWidth
        c.layers = try whole("num_hidden_layers", 1...Limits.layers) ?? c.layers
        c.heads = try whole("num_attention_heads", wide) ?? c.heads
        c.projected = try whole("projection_dim", wide, orOf: outer) ?? c.projected
        c.activation = try activation("hidden_act") ?? c.activation
        c.epsilon = try positive("layer_norm_eps") ?? c.epsilon
        guard c.width % c.heads == 0 else {
            throw Failure.input(
                "`hidden_size` cannot be shared out among the heads", at: Failure.Place(file),
                expected: "a multiple of num_attention_heads, \(c.heads)", got: "\(c.width)")
        }
    }

    /// - Parameter other: where the member may stand instead.
    func whole(_ key: String, _ allowed: ClosedRange<Int>, orOf other: JSON? = nil) throws -> Int? {
        guard let value = member(key) ?? other.flatMap({ Self.member(key, of: $0) }) else { return nil }
        guard let number = value.intValue else { throw wrong(key, "a whole number", value) }
        try Limits.check(number, key, allowed, at: Failure.Place(file))
        return number
    }

    private func positive(_ key: String) throws -> Double? {
        guard let value = member(key) else { return nil }
        guard let number = value.doubleValue, number > 0 else { throw wrong(key, "a number above 0", value) }
        return number
    }

    private func activation(_ key: String) throws -> CLIPActivation? {
        guard let value = member(key) else { return nil }
        guard let activation = value.stringValue.flatMap(CLIPActivation.init(rawValue:)) else {
            throw wrong(key, CLIPActivation.allCases.map(\.rawValue).joined(separator: " or "), value)
        }
        return activation
    }

    private func member(_ key: String) -> JSON? { Self.member(key, of: part) }

    private static func member(_ key: String, of json: JSON) -> JSON? {
        guard let value = json[key], !value.isNull else { return nil }
        return value
    }

    private func wrong(_ key: String, _ expected: String, _ value: JSON) -> Failure {
        .input("`\(key)` has a wrong value", at: Failure.Place(file), expected: expected, got: value.text())
    }
}
