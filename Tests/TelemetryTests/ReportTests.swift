import Failures
import Files
import Foundation
import JSON
import Telemetry
import Testing

/// `report.html`; how it looks and that nothing is fetched, a browser has to say.
@Suite struct Reports {
    /// What lies between a beginning and an end, wherever there is one.
    private func parts(_ text: String, from start: String, to end: String) -> [String] {
        text.components(separatedBy: start).dropFirst().compactMap { $0.components(separatedBy: end).first }
    }

    private func numbers(_ json: JSON?) -> [Double] { (json?.arrayValue ?? []).compactMap(\.doubleValue) }

    private func curves(_ page: String) throws -> [JSON] {
        let text = try #require(parts(page, from: "id=\"curves\">", to: "</script>").first)
        return try #require(JSON.parse(text, file: "report.html").arrayValue).flatMap { $0.arrayValue ?? [] }
    }

    @Test func `curves, previews, configuration and facts stand in one file`() throws {
        let folder = try LogFolder()
        try folder.log(1...4, resumeAfter: 0)
        let page = try folder.report()
        #expect(!page.contains("http:") && !page.contains("https:"))
        let curves = try curves(page)
        let loss = try #require(curves.first { $0["label"]?.stringValue == "smoothed" })
        #expect(loss["steps"] == [1, 2, 3, 4] && loss["values"] == [1.0, 0.5, 0.333333, 0.25])
        let validation = try #require(curves.first { $0["label"]?.stringValue == "validation loss" })
        #expect(validation["steps"] == [0, 2, 4] && validation["values"] == [0.75, 0.25, 0.125])
        let raw = try #require(curves.first { $0["label"]?.stringValue == "of each update" })
        #expect(raw["steps"] == [1, 2, 4])
        #expect(curves.count == 7 + 1)
        #expect(parts(page, from: "data-step=\"", to: "\"") == ["2", "4"])
        let image = try #require(parts(page, from: "src=\"data:image/jpeg;base64,", to: "\"").first)
        #expect(Data(base64Encoded: image) == Data(LogFolder.entry(2).images[0].jpeg.reversed()))
    }

    @Test func `text from outside is text on the page`() throws {
        let folder = try LogFolder()
        try folder.log(1...1, resumeAfter: 0)
        let page = try folder.report()
        #expect(page.contains("<h1>a &lt;run&gt; &amp; &quot;more&quot;</h1>"))
        #expect(page.contains("caption: &lt;/script&gt;&lt;b&gt;"))
        #expect(page.contains("left out: &lt;b&gt;") && page.contains("3 &amp; more"))
        #expect(page.components(separatedBy: "</script>").count == 3)
    }

    @Test func `a number of any name has its curve, and none ends the script it stands in`() throws {
        let folder = try LogFolder()
        let log = try RunLog(folder.setup())
        var entry = LogFolder.entry(1)
        entry.measured = [("</script><i>", 0.5)]
        try log.append(entry)
        try log.writeReport(state: "", [])
        let page = try folder.report()
        #expect(page.components(separatedBy: "</script>").count == 3)
        #expect(try curves(page).last?["label"]?.stringValue == "</script><i>")
    }

    @Test func `a run that goes on shows all of it and nothing that was cut`() throws {
        let (whole, parts) = (try LogFolder(), try LogFolder())
        try whole.log(1...6, resumeAfter: 0)
        try parts.log(1...4, resumeAfter: 0)
        try parts.log(4...6, resumeAfter: 3)
        #expect(try parts.report() == whole.report())
    }

    @Test func `a long run has short curves with its extremes, and few previews`() throws {
        let folder = try LogFolder()
        let lines = (1...20000).map { step in
            "{\"step\":\(step),\"loss\":\(step == 7777 ? 9.5 : step == 15555 ? -3 : 1 + Double(step % 7) / 10)}\n"
        }
        try folder.scratch.write(lines.joined(), to: "metrics.jsonl")
        for step in 1...100 {
            let name = String(repeating: "0", count: 6 - String(step * 200).count) + "\(step * 200).jpg"
            try folder.scratch.write("x", to: name)
        }
        try RunLog(folder.setup(resumeAfter: 20000)).writeReport(state: "", [])
        let page = try folder.report()
        let loss = try #require(try curves(page).first { $0["label"]?.stringValue == "smoothed" })
        let steps = (loss["steps"]?.arrayValue ?? []).compactMap(\.intValue)
        let (lows, highs, means) = (numbers(loss["lows"]), numbers(loss["highs"]), numbers(loss["values"]))
        #expect(steps.count > 256 && steps.count <= 512 && steps == steps.sorted())
        #expect(lows.count == steps.count && highs.count == steps.count && means.count == steps.count)
        #expect(lows.min() == -3 && highs.max() == 9.5 && loss["last"]?.doubleValue == 1.1)
        // Points stand for 64 updates each; the first has no update 0.
        let first = (1..<64).reduce(0.0) { sum, step in sum + 1 + Double(step % 7) / 10 }
        #expect(loss["each"]?.intValue == 64)
        #expect(steps.first == 32 && abs((means.first ?? 0) - first / 63) < 1e-5)
        let shown = parts(page, from: "data-step=\"", to: "\"").compactMap(Int.init)
        #expect(shown == (0..<13).map { 200 + 1600 * $0 } + [20000])
    }

    @Test func `a preview that cannot be read is left out`() throws {
        let folder = try LogFolder()
        try folder.scratch.write("", to: "000002.jpg")
        var setup = folder.setup(resumeAfter: 2)
        setup.shrink = { _ in throw Failure.input("not an image") }
        try RunLog(setup).writeReport(state: "", [])
        #expect(try !folder.report().contains("data-step"))
    }
}
