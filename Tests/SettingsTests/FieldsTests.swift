import Failures
import JSON
import Settings
import Testing

private enum Scaler: String, CaseIterable, SettingReadable { case vp, lerp }

private func parse(_ text: String) throws -> Setting { try Setting.parse(text, file: "a.yaml") }

@Suite struct FieldReading {
    @Test func `fields are read by key and type`() throws {
        var fields = try parse("lr: 1e-4\nblocks: [0, 4]\nscaler: lerp\nname: ~\nfilter: {low: 3}\nold: 1").fields()
        #expect(try fields.required("lr", as: Double.self) == 1e-4)
        #expect(try fields.value("batch_size", default: 4, .atLeast(1)) == 4)
        #expect(try fields.value("blocks", default: [Int]()) == [0, 4])
        #expect(try fields.value("scaler", default: Scaler.vp) == .lerp)
        #expect(try fields.optional("name", as: String.self) == nil)
        #expect(try fields.value("name", default: "x") == "x")
        var filter = try fields.nested("filter")
        #expect(try filter.required("low", as: Int.self, .within(1...5)) == 3)
        try filter.finish()
        try fields.nested("absent").finish()
        fields.ignore("old")
        try fields.finish()
    }

    @Test func `null turns off what a missing key leaves at its default`() throws {
        var fields = try parse("tower: ~\nother: x").fields()
        #expect(try fields.nullable("tower", default: "large") == nil)
        #expect(try fields.nullable("other", default: "large") == "x")
        #expect(try fields.nullable("third", default: "large") == "large")
    }

    @Test func `values in effect are gathered, those of what was left out too`() throws {
        let values = EffectiveValues(standIns: ["crop": "centre", "rate": nil, "unasked": 1])
        let setting = try parse("lr: 1e-4\nloss: huber\nfilter: {low: 3}\nblocks: [1]\nempty: ~")
        var fields = try setting.gathered(by: values).fields()
        _ = try fields.required("lr", as: Double.self)
        #expect(try fields.value("crop", default: "random") == "centre")
        #expect(try fields.nullable("rate", default: 3) == nil)
        _ = try fields.value("sizes", default: [1.5, .infinity])
        _ = try fields.value("scaler", default: Scaler.vp)
        _ = try fields.value("empty", default: true)
        _ = try fields.optional("cache", as: String.self)
        var loss = try fields.required("loss", as: Choice.self).fields
        _ = try fields.value("weight", as: Choice.self, written: "p2")
        _ = try loss.value("delta", default: 1)
        var filter = try fields.nested("filter")
        _ = try filter.value("high", default: 7)
        fields.ignore("old")
        let expected = try JSON.parse(
            """
            {"lr": 1e-4, "loss": {"name": "huber", "delta": 1}, "filter": {"low": 3, "high": 7}, "blocks": [1],
             "empty": true, "crop": "centre", "rate": null, "sizes": [1.5, ".inf"], "scaler": "vp", "cache": null,
             "weight": {"name": "p2", "k": 2}, "old": null}
            """, file: "expected")
        #expect(values.json(setting.json) == expected)
        #expect(values.standInsInUse.map(\.path) == ["crop", "rate"])
    }

    /// A name that has a value of its own.
    private struct Choice: SettingReadable {
        var fields: Fields
        static let expectation = "a choice"

        static func read(_ setting: Setting) throws -> Choice {
            try setting.choice(
                among: [
                    "huber": { Choice(fields: $0) },
                    "p2": { fields in
                        _ = try fields.value("k", default: 2)
                        return Choice(fields: fields)
                    },
                ])
        }
    }

    @Test func `a key nobody asked for is refused with the nearest that somebody did`() throws {
        var fields = try parse("lr: 1\nbathc_size: 2\n").fields()
        _ = try fields.optional("lr", as: Double.self)
        _ = try fields.optional("batch_size", as: Int.self)
        _ = try fields.optional("seed", as: Int.self)
        let failure = #expect(throws: Failure.self) { try fields.finish() }
        #expect(failure?.description == "a.yaml:2:1: unknown key \"bathc_size\"")
        #expect(failure?.advice == "The nearest known key is \"batch_size\".")
        #expect(failure?.blame == .input)
    }

    @Test func `a stray key further down is named by its path`() throws {
        var fields = try parse("filter:\n  low: 1").fields()
        let filter = try fields.nested("filter")
        let failure = #expect(throws: Failure.self) { try filter.finish() }
        #expect(failure?.description == "a.yaml:2:3: unknown key \"filter.low\"")
        #expect(failure?.advice == "No keys are known here.")
    }

    @Test func `what does not fit is refused at its value`() throws {
        let setting = try parse("lr: fast\nsteps: 0\nscaler: lrep\nblocks: [1, x]\nname: [a]\nflag: 1\nnested: 3")
        func message(_ read: (inout Fields) throws -> Void) throws -> String {
            var fields = try setting.fields()
            return (#expect(throws: Failure.self) { try read(&fields) })?.description ?? ""
        }
        #expect(
            try message { _ = try $0.value("lr", default: 1.0) }
                == "a.yaml:1:5: \"lr\" does not fit, expected a number, got fast")
        #expect(
            try message { _ = try $0.value("steps", default: 1, .atLeast(1)) }
                == "a.yaml:2:8: \"steps\" does not fit, expected a whole number of at least 1, got 0")
        #expect(
            try message { _ = try $0.value("scaler", default: Scaler.vp) }
                == "a.yaml:3:9: \"scaler\" does not fit, expected one of vp, lerp, got lrep")
        #expect(
            try message { _ = try $0.required("blocks", as: [Int].self) }
                == "a.yaml:4:13: \"blocks.1\" does not fit, expected a whole number, got x")
        #expect(
            try message { _ = try $0.optional("name", as: String.self) }
                == "a.yaml:5:7: \"name\" does not fit, expected a string, got [a]")
        #expect(
            try message { _ = try $0.optional("flag", as: Bool.self) }
                == "a.yaml:6:7: \"flag\" does not fit, expected true or false, got 1")
        #expect(
            try message { _ = try $0.nested("nested") }
                == "a.yaml:7:9: \"nested\" does not fit, expected a mapping, got 3")
        #expect(
            try message { _ = try $0.required("seed", as: Int.self, .atLeast(0)) }
                == "a.yaml:1:1: \"seed\" is missing, expected a whole number of at least 0")
        let failure = #expect(throws: Failure.self) { try setting["scaler"]?.read(as: Scaler.self) }
        #expect(failure?.advice == "Did you mean \"lerp\"?")
        let root = #expect(throws: Failure.self) { try parse("[1]").fields() }
        #expect(root?.description == "a.yaml:1:1: not what belongs here, expected a mapping, got [1]")
    }

    @Test func `the nearest name takes the fewest edits`() {
        let names = ["lr", "batch_size", "image_size", "grad_accum_steps"]
        #expect(nearestName(to: "img_size", among: names) == "image_size")
        #expect(nearestName(to: "rl", among: names) == "lr")
        #expect(nearestName(to: "Batch_Size", among: names) == "batch_size")
        #expect(nearestName(to: "", among: names) == "lr")
        #expect(nearestName(to: "x", among: []) == nil)
    }
}

@Suite struct Overrides {
    private func overridden(_ yaml: String, _ assignments: String...) throws -> String {
        try assignments.reduce(parse(yaml)) { try $0.overridden(by: $1) }.json.text()
    }

    @Test func `a value is replaced or made under its dotted path`() throws {
        #expect(try overridden("a: 1\nb: {c: 2}", "b.c=[1, x]", "a=") == #"{"a":null,"b":{"c":[1,"x"]}}"#)
        #expect(try overridden("", "a.b.c=1e-4", "a.d=no") == #"{"a":{"b":{"c":0.0001},"d":false}}"#)
        #expect(try overridden("a: [1, {b: 2}]", "a.1.b=3", "a.0='0'", "a.2=x=y") == #"{"a":["0",{"b":3},"x=y"]}"#)
    }

    @Test func `what is new has the argument's place and its own path`() throws {
        let setting = try parse("a: {b: 1}").overridden(by: "a.c=[{d: x}]")
        let new = try #require(setting["a"]?["c"]?.elements?.first?["d"])
        #expect(new.path == "a.c.0.d")
        let failure = #expect(throws: Failure.self) { try new.read(as: Int.self) }
        #expect(
            failure?.description == "--set a.c=[{d: x}]: \"a.c.0.d\" does not fit, expected a whole number, got x")
    }

    @Test(arguments: [
        ("a", "--set a: no key and value, expected KEY=VALUE"),
        ("=1", "--set =1: no key and value, expected KEY=VALUE"),
        ("b..c=1", "--set b..c=1: a key with an empty part, expected KEY=VALUE"),
        ("a.5=1", "--set a.5=1: \"a\" is a list, expected an index from 0 to 1, got 5"),
        ("a.x=1", "--set a.x=1: \"a\" is a list, expected an index from 0 to 1, got x"),
        ("b.c=1", "--set b.c=1: \"b\" is no mapping, \"c\" cannot be set in it, got 7"),
        ("b=[", "--set b=[: not YAML: did not find expected node content while parsing a flow node"),
    ])
    func `what cannot be set is refused`(assignment: String, message: String) {
        let failure = #expect(throws: Failure.self) { try parse("a: [1]\nb: 7").overridden(by: assignment) }
        #expect(failure?.description == message)
    }
}
