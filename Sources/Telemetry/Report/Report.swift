import Files
import Foundation
import JSON

/// Facts of a run under one heading.
public struct ReportSection: Sendable {
    /// The heading.
    public var title: String
    /// What stands side by side in a table; both are escaped for HTML.
    public var rows: [(name: String, value: String)]

    /// - Parameters:
    ///   - title: the heading.
    ///   - rows: the facts, in their order.
    public init(_ title: String, _ rows: [(name: String, value: String)]) {
        self.title = title
        self.rows = rows
    }
}

/// `report.html`: what a run has done so far, in one file that needs no network and no other file.
///
/// Its size has a bound, however long the run: curves are thinned, and of the previews at most 24 are shown, small.
final class Report {
    /// A preview as the page shows it.
    struct Preview {
        let step: Int
        let file: String
        /// Small.
        let image: LoggedImage
    }

    private static let mostPreviews = 24

    private let folder: String
    private let title: String
    private let configuration: String
    private let shrink: (_ jpeg: [UInt8]) throws -> LoggedImage
    private var curves: [(name: String, curve: Curve)] = []
    private var places: [String: Int] = [:]
    /// Updates that have a preview on the disk.
    private var previewSteps: [Int]
    private var previews: [Int: Preview] = [:]

    init(_ setup: RunLog.Setup) throws {
        folder = setup.folder
        title = setup.title
        configuration = setup.configurationText
        shrink = setup.shrink
        // Later ones are of updates that will be made again.
        previewSteps = try Folder.names(setup.folder).compactMap(Self.previewStep)
            .filter { $0 <= setup.resumeAfter }.sorted()
    }

    /// The update of a preview, by its file's name: `000100.jpg`.
    private static func previewStep(_ name: String) -> Int? {
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1] == "jpg", parts[0].count >= 6 else { return nil }
        return Int(parts[0])
    }

    func add(_ name: String, _ value: Double, at step: Int) {
        let place = places[name] ?? curves.count
        if place == curves.count {
            places[name] = place
            curves.append((name, Curve()))
        }
        curves[place].curve.add(value, at: step)
    }

    /// Takes in a line of `metrics.jsonl`.
    func add(line: JSON) {
        guard let step = line["step"]?.intValue, let object = line.objectValue else { return }
        for (name, value) in object where name != "step" {
            if let value = value.doubleValue { add(name, value, at: step) }
        }
    }

    func add(_ entry: LogEntry) {
        for (name, value) in entry.scalars { add(name, value, at: entry.step) }
        if !entry.images.isEmpty, previewSteps.last.map({ $0 < entry.step }) ?? true {
            previewSteps.append(entry.step)
        }
    }

    /// - Parameter state: One sentence on how far the run is.
    func write(state: String, sections: [ReportSection]) throws {
        let page = ReportPage(
            title: title, state: state, charts: charts, previews: shownPreviews(), sections: sections,
            configuration: configuration)
        try writeAtomically(page.html, to: "\(folder)/report.html")
    }

    // MARK: What is shown

    /// Every second, fourth, eighth … preview, as few as there is room for, and the newest. A preview that is left out
    /// once is not needed again, so each is made small once.
    private func shownPreviews() -> [Preview] {
        var stride = 1
        while previewSteps.count > (Self.mostPreviews - 1) * stride { stride *= 2 }
        let steps = previewSteps.enumerated()
            .filter { $0.offset % stride == 0 || $0.offset == previewSteps.count - 1 }.map(\.element)
        previews = previews.filter { steps.contains($0.key) }
        for step in steps where previews[step] == nil {
            let name = zeroPadded(step, digits: 6) + ".jpg"
            // One that somebody removed or broke is no reason to fail.
            guard let small = try? shrink(readFile("\(folder)/\(name)")) else { continue }
            previews[step] = Preview(step: step, file: name, image: small)
        }
        return steps.compactMap { previews[$0] }
    }

    private var charts: [ReportPage.Chart] {
        let known: [(title: String, unit: String, series: [(name: String, label: String)])] = [
            ("Loss", "", [("raw_loss", "of each update"), ("loss", "smoothed")]),
            ("Gradient norm", "", [("grad_norm", "before clipping")]),
            ("Learning rate", "", [("lr", "lr")]),
            ("Speed", "samples per second", [("samples_per_second", "samples per second")]),
            (
                "Time of an update", "seconds",
                [("seconds", "in all"), ("data_seconds", "of it waiting for data")]
            ),
            ("Updates without a finite loss", "", [("bad_steps", "so far")]),
        ]
        var left = curves
        func take(where isWanted: (String) -> Bool) -> [(name: String, curve: Curve)] {
            defer { left.removeAll { isWanted($0.name) } }
            return left.filter { isWanted($0.name) }
        }
        var charts = known.map { title, unit, series in
            ReportPage.Chart(
                title: title, unit: unit,
                series: series.flatMap { name, label in
                    take { $0 == name }.map { ReportPage.Series(label: label, curve: $0.curve) }
                })
        }
        // What is trained may have parts with rates of their own.
        let rates = take { $0.hasSuffix("_lr") }.map { ReportPage.Series(label: $0.name, curve: $0.curve) }
        if let place = charts.firstIndex(where: { $0.title == "Learning rate" }) { charts[place].series += rates }
        let validation = take { $0.hasPrefix("validation") }
        charts.insert(
            ReportPage.Chart(
                title: "Validation loss", unit: "",
                series: validation.map {
                    ReportPage.Series(label: Self.words($0.name), curve: $0.curve)
                }), at: 1)
        charts += left.map {
            ReportPage.Chart(
                title: Self.words($0.name), unit: "",
                series: [ReportPage.Series(label: Self.words($0.name), curve: $0.curve)])
        }
        return charts.filter { $0.series.contains { $0.curve.last != nil } }
    }

    private static func words(_ name: String) -> String { name.split(separator: "_").joined(separator: " ") }
}
