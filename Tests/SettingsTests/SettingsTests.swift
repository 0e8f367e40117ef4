import Failures
import JSON
import Settings
import Testing

private func parse(_ text: String) throws -> Setting { try Setting.parse(text, file: "a.yaml") }

@Suite struct YAMLReading {
    @Test func `a document is a tree whose nodes know their place and path`() throws {
        let setting = try parse("# comment\nlr: 1e-4\nratios: [1/1, '9/16']\nfilter:\n  sizes:\n  - {low: 3}\n")
        #expect(setting.members?.map(\.key) == ["lr", "ratios", "filter"])
        let low = try #require(setting["filter"]?["sizes"]?.elements?.first?["low"])
        #expect(low.path == "filter.sizes.0.low")
        #expect(low.place.description == "a.yaml:6:11")
        #expect(setting["ratios"]?.elements?.map(\.sample) == ["1/1", "\"9/16\""])
        #expect(setting.members?[2].place.description == "a.yaml:4:1")
    }

    @Test func `nothing is null`() throws {
        for text in ["", "# only a comment\n", "~", "null", "---\n"] { #expect(try parse(text).isNull) }
        #expect(try parse("''").text == "")
    }

    @Test func `an alias stands for the node of its anchor, under its own path`() throws {
        let setting = try parse("a: &x {b: [1]}\nc: *x\n")
        let copied = try #require(setting["c"]?["b"]?.elements?.first)
        #expect(copied.path == "c.b.0")
        #expect(copied.place.description == "a.yaml:1:12")
        #expect(try copied.read(as: Int.self) == 1)
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3", "a.yaml:3:1: the key \"a\" is given twice"),
        ("a: 1\n---\nb: 2", "a.yaml:2:1: a second document begins here, expected one document"),
        ("a: *x", "a.yaml:1:4: the alias *x has no anchor before it"),
        ("a: &x [*x]", "a.yaml:1:8: the alias *x has no anchor before it"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "a.yaml:3:3: merge keys are not read here"),
        (
            "a: !!python/name:os.system 1",
            "a.yaml:1:4: the tag tag:yaml.org,2002:python/name:os.system is not read here"
        ),
        ("? [a]\n: 1", "a.yaml:1:3: a key that is no plain text"),
        (
            "a: [1\nb: 2",
            "a.yaml:2:2: not YAML: did not find expected ',' or ']' while parsing a flow sequence"
        ),
        (
            "a:\n\t- 1",
            "a.yaml:2:1: not YAML: found character that cannot start any token while scanning for the next token"
        ),
        ("a: é\nb: \u{7}", "a.yaml:2:4: not YAML: control characters are not allowed"),
    ])
    func `what cannot be read is refused at its place`(text: String, message: String) {
        let failure = #expect(throws: Failure.self) { try parse(text) }
        #expect(failure?.description == message)
        #expect(failure?.blame == .input)
    }

    @Test func `bytes that are not UTF-8 are refused at the first`() {
        let failure = #expect(throws: Failure.self) {
            try Setting.parse(Array("a: 1\nb: é".utf8) + [0xFF], file: "a.yaml")
        }
        #expect(failure?.description == "a.yaml:2:5: not YAML: invalid leading UTF-8 octet")
    }

    @Test func `depth, nodes and expansion are bounded`() {
        #expect(throws: Failure.self) { try parse(String(repeating: "[", count: 100_000)) }
        #expect(throws: Failure.self) { try parse("[" + String(repeating: "1,", count: 100_001) + "]") }
        var laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for level in 1...9 {
            let inner = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ",")
            laughs += "a\(level): &a\(level) [\(inner)]\n"
        }
        let failure = #expect(throws: Failure.self) { try parse(laughs) }
        #expect(failure?.what == "more than 100000 nodes")
    }
}

@Suite struct ScalarTypes {
    @Test func `scalars read as in PyYAML's safe loader`() throws {
        let golden = String(#filePath.dropLast("SettingsTests/SettingsTests.swift".count)) + "Goldens/yaml_scalars.json"
        let cases = try #require(try JSON.read(golden).arrayValue)
        #expect(cases.count > 150)
        for item in cases {
            let text = try #require(item[0]?.stringValue)
            let setting = try #require(try parse("key: " + text)["key"])
            let kind = item[1]?.stringValue
            #expect(setting.isNull == (kind == "null"), "\(text)")
            #expect((try? setting.read(as: Bool.self)) == (kind == "bool" ? item[2]?.boolValue : nil), "\(text)")
            let number = try? setting.read(as: Double.self)
            switch kind {
            case "int":
                #expect(try setting.read(as: Int.self) == item[2]?.intValue, "\(text)")
                #expect(number == item[2]?.doubleValue, "\(text)")
            case "float":
                #expect(number == item[2]?.stringValue.flatMap(Double.init), "\(text)")
            case "str":
                #expect(try setting.read(as: String.self) == item[2]?.stringValue, "\(text)")
                // A sign before a point makes a string in PyYAML; here it is the number that was meant.
                #expect(number == nil || text.hasPrefix("-."), "\(text)")
            default:
                #expect(number == nil, "\(text)")
            }
        }
    }

    @Test func `a field's type decides what a scalar is`() throws {
        #expect(try parse("1e-4").read(as: Double.self) == 1e-4)
        #expect(try parse("1e5").read(as: Int.self) == 100_000)
        #expect(try parse("001").read(as: String.self) == "001")
        #expect(try parse("yes").read(as: String.self) == "yes")
        #expect(try parse("!!str 12").read(as: String.self) == "12")
        #expect(try parse("[a, 'b']").read(as: OneOrMore<String>.self).elements == ["a", "b"])
        #expect(try parse("a").read(as: OneOrMore<String>.self).elements == ["a"])
    }

    @Test(arguments: ["1.5", "'1'", "x", "9223372036854775808", "1e300", ".inf", "[1]", "{}", "~", "!!str 1", "1:30"])
    func `a whole number is refused where there is none`(text: String) throws {
        let failure = #expect(throws: Failure.self) { try parse("a: " + text)["a"]?.read(as: Int.self) }
        #expect(failure?.what == "\"a\" does not fit" && failure?.expected == "a whole number")
        #expect(failure?.place?.description.hasPrefix("a.yaml:1:") == true)
    }

    @Test(arguments: [".nan", "nan", "inf", "0x1p3", "1e999", "''", "'0.1'", "1.0.0", "0.1x"])
    func `a number is refused where there is none`(text: String) throws {
        #expect(throws: Failure.self) { try parse(text).read(as: Double.self) }
    }
}

@Suite struct JSONSettings {
    @Test func `a JSON file reads the same way, with places`() throws {
        let text =
            "{\n\t\"c_hidden\": [64, 1e2],\n\t\"name\": \"\\ud83d\\ude00\\t\",\n\t\"flag\": true, \"none\": null\n}"
        let setting = try Setting.parse(text, file: "arch.json")
        #expect(setting["name"]?.text == "😀\t")
        #expect(try setting["c_hidden"]?.read(as: [Int].self) == [64, 100])
        #expect(setting["c_hidden"]?.elements?[1].place.description == "arch.json:2:19")
        #expect(setting["c_hidden"]?.elements?[1].path == "c_hidden.1")
        #expect(setting.members?[2].place.description == "arch.json:4:2")
        #expect(setting["flag"]?.place.description == "arch.json:4:10")
        #expect(setting["none"]?.isNull == true)
        #expect(try setting["flag"]?.read(as: Bool.self) == true)
        let failure = #expect(throws: Failure.self) { try Setting.parse("{\"a\": 1,}", file: "arch.json") }
        #expect(failure?.place?.description == "arch.json:1:9")
    }

    @Test func `a tree becomes JSON and comes back`() throws {
        let yaml = "a: 1\nb: [1e-4, 9/16, 'true', off, ~, 3.0]\nc: {d: '1'}"
        let json = try parse(yaml).json
        #expect(json == ["a": 1, "b": [1e-4, "9/16", "true", false, nil, 3.0], "c": ["d": "1"]])
        #expect(Setting(json, file: "metadata").json == json)
    }
}
