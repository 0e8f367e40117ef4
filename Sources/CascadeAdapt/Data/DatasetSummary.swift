import Cascade
import Images
import JSON
import Loading

/// A report on a dataset in words and as JSON.
struct DatasetSummary {
    private let report: DatasetReport
    /// Those images could go to.
    private let buckets: [AspectBuckets.Bucket]
    /// Those on the sheet.
    private let cells: [ContactSheet.Cell]
    /// What a run on this data should know.
    private let warnings: [String]

    /// What the text encoder sees of a caption.
    private static let tokenLimit = CLIPTokenizer.length

    init(_ report: DatasetReport, buckets: [AspectBuckets.Bucket], cells: [ContactSheet.Cell], warnings: [String]) {
        self.report = report
        self.buckets = buckets
        self.cells = cells
        self.warnings = warnings
    }

    /// Buckets of one size, which two ratios can share, are one here; the fullest first.
    private var filled: [(size: String, width: Int, height: Int, samples: Int)] {
        var counts: [[Int]: Int] = [:]
        for (bucket, count) in report.buckets { counts[[bucket.width, bucket.height], default: 0] += count }
        return counts.sorted { ($1.value, $0.key[0]) < ($0.value, $1.key[0]) }
            .map { ("\($0.key[0])x\($0.key[1])", $0.key[0], $0.key[1], $0.value) }
    }

    // MARK: For programs

    var json: JSON {
        [
            "samples": integer(report.samples),
            "kept": integer(report.kept),
            "dropped": counts(report.drops.samples),
            "broken": counts(report.drops.broken),
            "examples": object(
                report.examples.map { ($0.key, .array($0.value.names.map(JSON.string))) }),
            "shards": integer(report.shards),
            "repeated_keys": integer(report.repeatedKeys),
            "bytes": integer(report.bytes),
            "decoded": integer(report.decoded),
            "formats": counts(Dictionary(uniqueKeysWithValues: report.formats.map { ($0.key.rawValue, $0.value) })),
            "sizes": [
                "smallest": size(report.sizes.smallest), "median": size(report.sizes.median),
                "largest": size(report.sizes.largest), "distinct": integer(report.sizes.distinct),
                "smaller_than_bucket": integer(report.enlarged),
            ],
            "colour_profiles": integer(report.colourProfiles),
            "buckets": .array(
                filled.map {
                    ["width": integer($0.width), "height": integer($0.height), "samples": integer($0.samples)]
                }),
            "captions": captions,
            "warnings": .array(warnings.map(JSON.string)),
            "sheet": .array(
                cells.map {
                    [
                        "sample": .string($0.name), "caption": .string($0.caption), "width": integer($0.width),
                        "height": integer($0.height),
                    ]
                }),
        ]
    }

    private var captions: JSON {
        let lengths = report.captions
        var fields = [
            ("empty", integer(lengths.empty)), ("characters", tally(lengths.characters)),
            ("words", tally(lengths.words)),
        ]
        if lengths.tokens.count > 0 {
            fields.append(("tokens", tally(lengths.tokens)))
            fields.append(("over_\(Self.tokenLimit)_tokens", integer(lengths.tokens.count(above: Self.tokenLimit))))
        }
        return object(fields)
    }

    private func tally(_ tally: Tally) -> JSON {
        [
            "smallest": tally.smallest.map(integer) ?? .null, "median": tally.median.map(integer) ?? .null,
            "mean": tally.mean.map(JSON.number) ?? .null, "largest": tally.largest.map(integer) ?? .null,
        ]
    }

    private func size(_ size: ImageSize?) -> JSON {
        size.map { [integer($0.width), integer($0.height)] } ?? .null
    }

    private func counts(_ counts: [String: Int]) -> JSON { object(counts.map { ($0.key, integer($0.value)) }) }

    private func object(_ fields: [(String, JSON)]) -> JSON {
        var object = JSON.Object()
        for (name, value) in fields.sorted(by: { $0.0 < $1.0 }) { object[name] = value }
        return .object(object)
    }

    private func integer(_ number: Int) -> JSON { .integer(number) }

    // MARK: For people

    var lines: [String] {
        let shards = "\(report.shards) shard\(report.shards == 1 ? "" : "s")"
        var lines = ["\(report.samples) samples in \(shards), \(report.kept) kept"]
        if report.kept == 0 { lines.append("no sample is kept: a run on this data would end with an error") }
        lines += reasons("left out", report.drops.samples) + reasons("broken", report.drops.broken)
        if report.repeatedKeys > 0 {
            lines.append("\(report.repeatedKeys) samples have the key of another in their shard")
        }
        if report.kept > 0 { lines += imageLines + bucketLines + captionLines }
        return lines + warnings.map { "warning: \($0)" }
    }

    private func reasons(_ title: String, _ counts: [String: Int]) -> [String] {
        if counts.isEmpty { return [] }
        return ["\(title):"]
            + counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { reason, count in
                let names = report.examples[reason]?.names.joined(separator: ", ")
                return "  \(count) \(reason)" + (names.map { ", such as \($0)" } ?? "")
            }
    }

    private var imageLines: [String] {
        let formats = report.formats.sorted { ($1.value, $0.key.rawValue) < ($0.value, $1.key.rawValue) }
            .map { "\($0.value) \($0.key.rawValue)" }.joined(separator: ", ")
        func text(_ size: ImageSize?) -> String { size.map { "\($0.width)x\($0.height)" } ?? "" }
        let sizes = report.sizes
        return [
            "images: \(formats), \(size(inBytes: report.bytes)) with their texts",
            "  smallest \(text(sizes.smallest)), median \(text(sizes.median)), largest \(text(sizes.largest)); "
                + "\(report.enlarged) smaller than their bucket",
            report.decoded < report.kept
                ? "  \(report.decoded) were decoded, the others may be broken" : "  all were decoded",
        ] + (report.colourProfiles > 0 ? ["  \(report.colourProfiles) have colour profiles, which are ignored"] : [])
    }

    private var bucketLines: [String] {
        let most = filled.first?.samples ?? 1
        let width = filled.map(\.size.count).max() ?? 0
        let digits = String(most).count
        return ["\(filled.count) of \(Set(buckets.map { [$0.width, $0.height] }).count) buckets:"]
            + filled.map { bucket in
                let bar = String(repeating: "#", count: max(1, bucket.samples * 40 / most))
                return "  \(padded(bucket.size, width)) \(padded(String(bucket.samples), digits)) \(bar)"
            }
    }

    private func size(inBytes bytes: Int) -> String {
        bytes < 10_000_000 ? "\((bytes + 500) / 1000) kB" : "\((bytes + 500_000) / 1_000_000) MB"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private var captionLines: [String] {
        let lengths = report.captions
        func text(_ tally: Tally, _ unit: String) -> String {
            "  \(tally.smallest ?? 0) to \(tally.largest ?? 0) \(unit), median \(tally.median ?? 0)"
        }
        var lines = ["captions:", text(lengths.characters, "characters"), text(lengths.words, "words")]
        if lengths.tokens.count > 0 {
            let over = lengths.tokens.count(above: Self.tokenLimit)
            lines.append(text(lengths.tokens, "tokens") + "; \(over) longer than the \(Self.tokenLimit) that are read")
        }
        if lengths.empty > 0 { lines.append("  \(lengths.empty) empty") }
        return lines
    }
}
