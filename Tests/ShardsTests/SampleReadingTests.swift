import Expressions
import Testing

@testable import Shards

/// Which samples are trained on, and with which caption.
@Suite struct SampleReadingTests {
    private func sample(json: String? = nil, text: [UInt8]? = nil, image: Bool = true) -> Sample {
        var members: [String: [UInt8]] = image ? ["jpg": [1]] : [:]
        members["json"] = json.map { Array($0.utf8) }
        members["txt"] = text
        return Sample(key: "k", shard: "s", members: members)
    }

    private func filter(_ fields: String..., condition: String) throws -> SampleFilter {
        try SampleFilter(fields: fields, condition: Lambda(condition))
    }

    @Test func `defects are told by reason`() {
        let reading = SampleReading()
        #expect(reading.reasonToDrop(sample(text: [65], image: false)) == "no image")
        #expect(reading.reasonToDrop(sample()) == "no caption")
        #expect(reading.reasonToDrop(sample(text: [0xC3, 0x28])) == "caption is not UTF-8")
        #expect(reading.reasonToDrop(sample(text: Array("caf\u{E9}".utf8))) == nil)
    }

    @Test func `filters on one field all apply, and what lacks the field is dropped`() throws {
        let reading = SampleReading(
            captions: Captions([.field("caption")]),
            filters: [
                try filter("width", condition: "lambda w: w >= 768"),
                try filter("width", condition: "lambda w: w < 2000"),
                try filter("width", "meta.height", condition: "lambda w, h: w / h < 2"),
            ])
        func reason(_ json: String?) -> String? { reading.reasonToDrop(sample(json: json)) }
        #expect(reason(#"{"caption": "a", "width": 800, "meta": {"height": 800}}"#) == nil)
        #expect(reason(#"{"caption": "a", "width": 700, "meta": {"height": 800}}"#) == "filtered by `width`")
        #expect(reason(#"{"caption": "a", "width": 2000, "meta": {"height": 2000}}"#) == "filtered by `width`")
        #expect(
            reason(#"{"caption": "a", "width": 1900, "meta": {"height": 800}}"#) == "filtered by `width, meta.height`")
        #expect(
            reason(#"{"caption": "a", "width": 800, "meta": {"height": 0}}"#) == "filter on `width, meta.height` fails")
        #expect(reason(#"{"caption": "a", "width": 800}"#) == "no field `meta.height`")
        #expect(reason(#"{"caption": "a", "width": "800"}"#) == "filter on `width` fails")
        #expect(reason(#"{"caption": "a", "width": {}}"#) == "filter on `width` fails")
        #expect(reason(#"{"width": 800}"#) == "no caption")
        let texts = SampleReading(filters: reading.filters)
        #expect(texts.reasonToDrop(sample(text: [65])) == "no json")
        #expect(texts.reasonToDrop(sample(json: "{", text: [65])) == "json cannot be read")
        #expect(texts.reasonToDrop(sample(json: "[1]", text: [65])) == "json cannot be read")
    }

    @Test func `a condition of another number of values is refused`() {
        #expect(throws: (any Error).self) { try filter("width", condition: "lambda w, h: w > h") }
    }

    @Test func `the first source of a chain that has a caption gives it`() {
        let reading = SampleReading(captions: Captions([.field("long"), .field("short"), .member("txt")]))
        func caption(_ json: String?, _ text: String?) -> String? {
            reading.caption(of: sample(json: json, text: text.map { Array($0.utf8) }), draw: 0)
        }
        #expect(caption(#"{"long": "l", "short": "s"}"#, "t") == "l")
        #expect(caption(#"{"short": "s"}"#, "t") == "s")
        #expect(caption(#"{"long": 3}"#, "t") == "t")
        #expect(caption(nil, "t") == "t")
        #expect(caption("{", nil) == nil)
    }

    @Test func `JSON that can't be read is told as that, unless another source has the caption`() {
        let fields = SampleReading(captions: Captions([.field("caption")]))
        #expect(fields.reasonToDrop(sample(json: "{")) == "json cannot be read")
        #expect(fields.reasonToDrop(sample(json: "{}")) == "no caption")
        #expect(fields.reasonToDrop(sample()) == "no caption")
        let official = SampleReading(captions: Captions([.official]))
        #expect(official.reasonToDrop(sample(json: "[1]")) == "json cannot be read")
        let either = SampleReading(captions: Captions([.field("caption"), .member("txt")]))
        #expect(either.reasonToDrop(sample(json: "{", text: [65])) == nil)
    }

    @Test func `JSON is read as Python wrote it`() throws {
        let reading = SampleReading(
            captions: Captions([.field("caption")]),
            filters: [
                try filter("score", condition: "lambda s: s is None or s > 4 or s != s"),
                try filter("tags", condition: "lambda t: 'cat' in t"),
            ])
        func caption(_ score: String, _ tags: String, _ caption: String = "a") -> String? {
            let json = "{\"caption\": \"?\", \"score\": \(score), \"tags\": \(tags), \"caption\": \"\(caption)\"}"
            return reading.reasonToDrop(sample(json: json)) ?? reading.caption(of: sample(json: json), draw: 1)
        }
        #expect(caption("NaN", #"["cat"]"#) == "a")
        #expect(caption("Infinity", #"{"cat": [{}]}"#) == "a")
        #expect(caption("-Infinity", #"{"cat": 1}"#) == "filtered by `score`")
        #expect(caption("null", #"[null, {"x": [1]}, "cat"]"#, #"\ud83d cat \ude00"#) == "\u{FFFD} cat \u{FFFD}")
        #expect(caption("null", #"{"dog": "cat"}"#) == "filtered by `tags`")
    }

    @Test func `a byte order mark is no part of a caption`() {
        let text = SampleReading()
        #expect(
            text.caption(of: sample(text: Array("\u{FEFF}a dog, \u{FEFF}running".utf8)), draw: 1) == "a dog, running")
        #expect(text.caption(of: sample(text: [0xEF, 0xBB, 0xBF]), draw: 1) == "")
        let field = SampleReading(captions: Captions([.field("caption")]))
        #expect(field.caption(of: sample(json: "\u{FEFF}{\"caption\": \"\\ufeffa dog\"}"), draw: 1) == "a dog")
    }

    @Test func `one time in twenty the official getter takes the original caption`() {
        let reading = SampleReading(captions: Captions([.official]))
        let json = #"{"caption": "new", "old_caption": "{\"og_caption\": \"old\"}"}"#
        #expect(reading.caption(of: sample(json: json), draw: 0.049) == "old")
        #expect(reading.caption(of: sample(json: json), draw: 0.05) == "new")
        #expect(reading.caption(of: sample(json: #"{"caption": "new", "old_caption": "?"}"#), draw: 0) == "new")
        #expect(reading.caption(of: sample(json: #"{"old_caption": "{}"}"#), draw: 0.9) == nil)
        // The reference takes the original caption where it has a length.
        let empty = #"{"caption": "new", "old_caption": "{\"og_caption\": \"\"}"}"#
        #expect(reading.caption(of: sample(json: empty), draw: 0) == "new")
    }
}
