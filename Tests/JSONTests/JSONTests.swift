import Failures
import Glibc
import JSON
import Testing

private func parse(_ text: String) throws -> JSON { try JSON.parse(text, file: "a.json") }

@Suite struct JSONReading {
    @Test func `Python's documents are read and written back as Python writes them`() throws {
        let golden = String(#filePath.dropLast("JSONTests/JSONTests.swift".count)) + "Goldens/json_documents.json"
        let cases = try #require(try JSON.read(golden).arrayValue)
        #expect(cases.count > 80)
        for item in cases {
            if let escaped = item["escaped"]?.stringValue {
                let expected = try #require(item["sorted"]?.stringValue)
                #expect(Array(try parse(escaped).text(sorted: true).utf8) == Array(expected.utf8))
                #expect(try parse(expected) == parse(escaped))
            } else {
                let text = try #require(item["number"]?.stringValue)
                let bits = try #require(item["bits"]?.stringValue.flatMap { UInt64($0, radix: 16) })
                let value = try parse(text)
                #expect(value.doubleValue?.bitPattern == bits, "\(text)")
                #expect(try parse(value.text()).doubleValue?.bitPattern == bits, "\(text)")
            }
        }
    }

    @Test func `what Python's json writes is read where that is asked for, and refused elsewhere`() throws {
        // Values as CPython's json.loads gives them; a Swift string has U+FFFD for half a surrogate pair.
        func python(_ text: String) throws -> JSON { try JSON.parse(text, file: "a.json", as: .python) }
        let texts: [(text: String, value: JSON)] = [
            ("Infinity", .number(.infinity)), ("[-Infinity, 1]", [.number(-.infinity), 1]),
            ("1e999", .number(.infinity)), (#"{"a": 1, "b": 2, "a": 3}"#, ["a": 3, "b": 2]),
            (#""\ud83d""#, "\u{FFFD}"), (#""\ude00x""#, "\u{FFFD}x"), (#""\ud83d\n""#, "\u{FFFD}\n"),
            (#""\ud83d\u0041""#, "\u{FFFD}A"), (#""\ud83d\ud83d\ude00""#, "\u{FFFD}\u{1F600}"),
        ]
        for (text, value) in texts {
            #expect(try python(text) == value, "\(text)")
            #expect(throws: Failure.self, "\(text)") { try parse(text) }
        }
        #expect(try python("NaN").doubleValue?.isNaN == true)
        for text in ["NaN", "-NaN"] { #expect(throws: Failure.self) { try parse(text) } }
        for text in ["-NaN", "nan", "inf", "Inf", "-", "-I", "{'a': 1}", "[1,]", #""\ud83d\u00""#] {
            #expect(throws: Failure.self, "\(text)") { try python(text) }
        }
    }

    @Test func `whole numbers stay whole`() throws {
        #expect(try parse("9223372036854775807") == .integer(.max))
        #expect(try parse("-9223372036854775808") == .integer(.min))
        #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
        #expect(try parse("3.0") == .number(3))
        #expect(try parse("3.0").intValue == 3)
        #expect(try parse("3.5").intValue == nil)
        #expect(try parse("1e300").intValue == nil)
        #expect(try parse("true").intValue == nil)
    }

    @Test func `members keep their order and are found, also among many`() throws {
        let many = (0..<100).map { "\"k\($0 * 37 % 100)\": \($0)" }.joined(separator: ", ")
        var object = try #require(try parse("{\(many)}").objectValue)
        #expect(object.keys == (0..<100).map { "k\($0 * 37 % 100)" })
        #expect(object["k37"] == 1)
        #expect(object["k100"] == nil)
        object["k37"] = nil
        object["new"] = "last"
        object["k0"] = 7
        #expect(object.count == 100)
        #expect(object.keys.first == "k0" && object.keys.last == "new")
        #expect(object["k37"] == nil && object["k74"] == 2 && object["k0"] == 7)
    }

    @Test func `keys that differ only in composition are two`() throws {
        let value = try parse("{\"\u{E9}\": 1, \"e\u{301}\": 2}")
        #expect(value["\u{E9}"] == 1)
        #expect(value["e\u{301}"] == 2)
    }

    @Test(arguments: [
        ("", "a.json:1:1: not JSON, expected a value, got the end"),
        ("{\"a\": 1,\n  \"é\" 2}", "a.json:2:7: not JSON, expected \":\", got \"2\""),
        ("{\"a\": 1, \"b\": 2,\n \"a\": 3}", "a.json:2:2: the key \"a\" is given twice"),
        ("[1, 2", "a.json:1:6: not JSON, expected \",\" or \"]\", got the end"),
        ("[1,]", "a.json:1:4: not JSON, expected a value, got \"]\""),
        ("{\"a\":1,}", "a.json:1:8: not JSON, expected a key in quotes, got \"}\""),
        ("{a:1}", "a.json:1:2: not JSON, expected a key in quotes, got \"a\""),
        ("01", "a.json:1:2: something follows the JSON document, expected the end, got \"1\""),
        ("-", "a.json:1:2: not JSON, expected a digit, got the end"),
        ("1.", "a.json:1:3: not JSON, expected a digit, got the end"),
        (".5", "a.json:1:1: not JSON, expected a value, got \".\""),
        ("+1", "a.json:1:1: not JSON, expected a value, got \"+\""),
        ("1e", "a.json:1:3: not JSON, expected a digit, got the end"),
        ("1e999", "a.json:1:1: a number too large for a double"),
        ("NaN", "a.json:1:1: not JSON, expected a value, got \"N\""),
        ("nul", "a.json:1:1: not JSON, expected a value, got \"n\""),
        ("\"abc", "a.json:1:1: a string without its closing quote"),
        ("\"a\tb\"", "a.json:1:3: a control character in a string, expected an escape, got the byte 0x9"),
        ("\"\\x\"", "a.json:1:2: an escape that JSON does not know"),
        ("\"\\", "a.json:1:2: an escape that JSON does not know"),
        ("\"\\u12g4\"", "a.json:1:6: not JSON, expected four hexadecimal digits, got \"g\""),
        ("\"\\ud83d\"", "a.json:1:2: half a surrogate pair"),
        ("\"\\ud83d\\u0041\"", "a.json:1:2: half a surrogate pair"),
        ("\"\\ude00\\ud83d\"", "a.json:1:2: half a surrogate pair"),
    ])
    func `what is not JSON is refused at its place`(text: String, message: String) {
        let failure = #expect(throws: Failure.self) { try parse(text) }
        #expect(failure?.description == message)
        #expect(failure?.blame == .input)
    }

    @Test(
        arguments: [
            [0x22, 0x61, 0xFF, 0x22], [0x22, 0x61, 0xC0, 0xAF, 0x22], [0x22, 0x61, 0xED, 0xA0, 0x80, 0x22],
            [0x22, 0x61, 0xE2, 0x82, 0x22], [0x22, 0x61, 0xF4, 0x90, 0x80, 0x80, 0x22],
        ] as [[UInt8]])
    func `bytes that are not UTF-8 are refused at the first`(bytes: [UInt8]) {
        let failure = #expect(throws: Failure.self) { try JSON.parse(bytes, file: "a.json") }
        #expect(failure?.description == "a.json:1:3: text that is not UTF-8")
    }

    @Test func `nesting is bounded`() throws {
        let deep = { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) }
        #expect(try parse(deep(128)).arrayValue?.count == 1)
        #expect(throws: Failure.self) { try parse(deep(129)) }
        #expect(throws: Failure.self) { try parse(String(repeating: "[", count: 1_000_000)) }
    }

    @Test func `a byte order mark is passed over`() throws {
        #expect(try parse("\u{FEFF}[1]") == [1])
    }
}

@Suite struct JSONPlaces {
    @Test func `every value and key has its place, in the order in which they begin`() throws {
        let (_, places) = try JSON.parseWithPlaces(Array("{\"é\": [1,\n  {}],\n\t\"b\": true}".utf8), file: "a.json")
        #expect(
            places.map(\.description) == [
                "a.json:1:1", "a.json:1:2", "a.json:1:7", "a.json:1:8", "a.json:2:3", "a.json:3:2", "a.json:3:7",
            ])
    }
}

@Suite struct JSONWriting {
    @Test func `objects are written in their own order, or sorted`() {
        let value: JSON = ["b": 1, "a": [nil, true, "x\u{1}\"\\\n"], "é": 0.1, "Z": 3.0]
        #expect(value.text() == #"{"b":1,"a":[null,true,"x\u0001\"\\\n"],"é":0.1,"Z":3.0}"#)
        #expect(value.text(sorted: true) == #"{"Z":3.0,"a":[null,true,"x\u0001\"\\\n"],"b":1,"é":0.1}"#)
    }

    @Test func `a number that is not finite is null`() {
        #expect(JSON.array([.number(.nan), .number(.infinity), .number(-.infinity)]).text() == "[null,null,null]")
    }

    @Test func `objects are equal in any order`() {
        #expect(["a": 1, "b": 2] as JSON == ["b": 2, "a": 1])
        #expect(["a": 1, "b": 2] as JSON != ["a": 1, "c": 2])
    }
}
