import Expressions
import Failures
import JSON
import Testing

/// Expressions against CPython's answers (Tests/Goldens/write_expressions.py).
@Suite struct LambdaTests {
    private static func golden() throws -> JSON {
        try JSON.read(
            String(#filePath.dropLast("ExpressionsTests/LambdaTests.swift".count)) + "Goldens/expressions.json")
    }

    @Test func `expressions answer as Python does`() throws {
        let cases = try #require(Self.golden()["cases"]?.arrayValue)
        #expect(cases.count > 700)
        for item in cases {
            let text = try #require(item["text"]?.stringValue)
            let arguments = try #require(item["arguments"]?.arrayValue).map { try #require(Value($0)) }
            let expected = try #require(item["answer"]?.arrayValue).compactMap(\.stringValue)
            let lambda = try Lambda(text)
            let answer = (try? lambda(arguments)).map(Self.answer) ?? ["error"]
            #expect(Self.isSame(answer, expected), "\(text) of \(item["arguments"]?.text() ?? "")")
        }
    }

    @Test func `what is no such expression is refused, with the place in the text`() throws {
        let texts = try #require(Self.golden()["refused"]?.arrayValue).compactMap(\.stringValue)
        #expect(texts.count >= 60)
        for text in texts {
            #expect(throws: Failure.self, "\(text.prefix(60))") { try Lambda(text) }
        }
        let failure = try #require(throws: Failure.self) {
            try Lambda("lambda w: w.__class__", at: Failure.Place("a.yaml", line: 3, column: 9))
        }
        #expect(failure.blame == .input)
        #expect(failure.what.hasSuffix("at character 13"))
        #expect(failure.got == "`__class__`")
        #expect(failure.place?.line == 3)
    }

    @Test(arguments: [
        ("lambda a: a * 100000 * 100000", Value.string("x")), ("lambda a: [a] * 65537", .integer(1)),
        ("lambda a: a ** a ** a", .integer(99)), ("lambda a: a * a * a * a", .integer(1 << 62)),
    ])
    func `a value that grows past its limits is a failure`(text: String, argument: Value) throws {
        let lambda = try Lambda(text)
        #expect(throws: Failure.self) { try lambda([argument]) }
    }

    /// As the golden writes an answer: the type's name and `repr`, floats apart.
    private static func answer(_ value: Value) -> [String] {
        switch value {
        case .none: ["NoneType", "None"]
        case .bool(let value): ["bool", value ? "True" : "False"]
        case .integer(let value): ["int", "\(value)"]
        case .float(let value): ["float", "\(value)"]
        case .string(let value): ["str", value]
        case .list(let values): ["list", "[" + values.map(element).joined(separator: ", ") + "]"]
        case .tuple(let values):
            ["tuple", "(" + values.map(element).joined(separator: ", ") + (values.count == 1 ? ",)" : ")")]
        case .dictionary(let members):
            ["dict", "{" + members.map { "'\($0.key)': \(element($0.value))" }.joined(separator: ", ") + "}"]
        }
    }

    private static func element(_ value: Value) -> String {
        let written = answer(value)
        return written[0] == "str" ? "'\(written[1])'" : written[1]
    }

    /// Floats are compared by value, everything else by its text.
    private static func isSame(_ a: [String], _ b: [String]) -> Bool {
        guard a.first == "float", b.first == "float", let x = Double(a[1]), let y = Double(b[1]) else { return a == b }
        return x == y && x.sign == y.sign || x.isNaN && y.isNaN
    }
}
