import Failures
import JSON

extension Setting {
    /// A configuration from JSON that is already read, such as a file's metadata.
    public init(_ json: JSON, file: String) { self.init(json, file: file, path: "") }

    init(_ json: JSON, file: String, path: String) { self.init(json, at: { Failure.Place(file) }, path: path) }

    /// - Parameter nextPlace: The places in the order of `JSON.parseWithPlaces`.
    init(_ json: JSON, at nextPlace: () -> Failure.Place, path: String) {
        let place = nextPlace()
        let parent = Setting(.null, at: place, path: path)
        let value: Value
        switch json {
        case .null: value = .null
        case .bool, .integer, .number: value = .scalar(text: json.text(), quoted: false)
        case .string(let text): value = .scalar(text: text, quoted: true)
        case .array(let elements):
            value = .sequence(
                elements.enumerated().map { Setting($1, at: nextPlace, path: parent.path(of: $0)) })
        case .object(let object):
            value = .mapping(
                object.map { key, json in
                    let place = nextPlace()
                    return Member(
                        key: key, place: place, value: Setting(json, at: nextPlace, path: parent.path(of: key)))
                })
        }
        self.init(value, at: place, path: path)
    }

    /// The tree as JSON; a scalar without quotes becomes a truth value or a number where it reads as one.
    public var json: JSON {
        switch value {
        case .null: return .null
        case .scalar(let text, let quoted):
            guard !quoted else { return .string(text) }
            if let bool = PlainScalar.bool(text) { return .bool(bool) }
            if let integer = PlainScalar.integer(text) { return .integer(integer) }
            if let number = PlainScalar.number(text), number.isFinite { return .number(number) }
            return .string(text)
        case .sequence(let elements): return .array(elements.map(\.json))
        case .mapping(let members):
            var object = JSON.Object()
            for member in members { object[member.key] = member.value.json }
            return .object(object)
        }
    }
}
