import Expressions
import Failures
import Settings
import Shards

extension SampleReading {
    /// Reads `captions_getter` and `dataset_filters`, in the reference's forms and ours.
    init(_ fields: inout Fields) throws {
        let getter = fields.setting["captions_getter"]
        fields.ignore("captions_getter")
        let filters = fields.setting["dataset_filters"]
        fields.ignore("dataset_filters")
        self.init(
            captions: try getter.map(Captions.init) ?? Captions(),
            filters: try (filters?.isNull == false ? filters : nil).map(Self.filters) ?? [])
    }

    /// `[[FIELD or [FIELD, …], 'lambda …: …'], …]`
    private static func filters(_ setting: Setting) throws -> [SampleFilter] {
        let expected = "a list of [FIELD, 'lambda value: CONDITION'] or [[FIELD, …], 'lambda …: CONDITION']"
        guard let rules = setting.elements else { throw setting.refusal(expected: expected) }
        return try rules.map { rule in
            guard let parts = rule.elements, parts.count == 2, let condition = parts[1].text else {
                throw rule.refusal(expected: expected)
            }
            let names = parts[0].elements ?? [parts[0]]
            let fields = names.compactMap(\.text)
            guard !fields.isEmpty, fields.count == names.count else { throw parts[0].refusal(expected: expected) }
            return try SampleFilter(
                fields: fields, condition: Lambda(condition, at: parts[1].place), at: parts[1].place)
        }
    }
}

extension Captions {
    /// `[MEMBER, identity]`, `[json, FIELD]`, `[json, captions_getter]`, or a list of those to be tried in turn.
    init(_ setting: Setting) throws {
        if setting.isNull {
            self.init()
        } else if let elements = setting.elements, !elements.isEmpty, elements.allSatisfy({ $0.elements != nil }) {
            self.init(try elements.map(Self.source))
        } else {
            self.init([try Self.source(setting)])
        }
    }

    private static func source(_ setting: Setting) throws -> Source {
        guard let parts = setting.elements?.map(\.text), parts.count == 2, let member = parts[0], let way = parts[1],
            !member.isEmpty, !way.isEmpty
        else { throw refusal(setting) }
        if way == "identity" { return .member(member.lowercased()) }
        guard member == "json", !way.hasPrefix("lambda") else { throw refusal(setting) }
        return way == "captions_getter" ? .official : .field(way)
    }

    private static func refusal(_ setting: Setting) -> Failure {
        setting.refusal(
            expected: "[txt, identity], [json, FIELD], [json, captions_getter], or a list of those to be tried in turn")
    }
}
