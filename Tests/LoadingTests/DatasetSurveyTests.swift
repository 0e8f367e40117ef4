import Files
import Images
import TestSupport
import Testing

@testable import Loading
@testable import Shards

@Suite struct DatasetSurveyTests {
    /// A tar of these members.
    private func tar(_ folder: ScratchFolder, _ name: String, _ members: [(String, [UInt8])]) throws -> Shard {
        let path = "\(folder.path)/\(name)"
        let file = try AtomicFile(at: path)
        let tar = try TarWriter(descriptor: file.descriptor, path: path)
        for (name, bytes) in members { try tar.add(name, bytes) }
        try tar.finish()
        try file.commit()
        return Shard(path: path)
    }

    /// An image whose file is mostly pixels, so that half of it still has the header.
    private func image(_ width: Int, _ height: Int) -> Image {
        Image(width: width, height: height, pixels: (0..<width * height * 3).map { UInt8($0 * $0 % 251) })
    }

    private func samples(_ count: Int, _ name: String = "s") throws -> [(String, [UInt8])] {
        try (0..<count).flatMap { number in
            [
                ("\(name)\(number).png", try image(64 + number % 3, 64).png()),
                ("\(name)\(number).txt", Array("caption \(number)".utf8)),
            ]
        }
    }

    @Test func `sizes, formats, buckets, captions and losses are counted`() throws {
        let folder = try ScratchFolder()
        let wide = try image(100, 50).jpeg()
        let shard = try tar(
            folder, "a.tar",
            [
                ("a.png", image(64, 64).png()), ("a.txt", Array("caf\u{E9} au lait".utf8)),
                ("b.jpg", wide), ("b.txt", Array(" \n".utf8)),
                ("c.jpg", image(200, 210).jpeg()), ("c.txt", Array("one".utf8)),
                ("d.jpg", Array(wide.prefix(wide.count / 2))), ("d.txt", [65]),
                ("e.jpg", [1, 2]), ("e.txt", [65]),
                ("f.png", image(16, 300).png()), ("f.txt", [65]),
                ("g.png", image(64, 64).png()),
                ("a.webp", wide),
            ])
        var survey = DatasetSurvey(reading: SampleReading())
        survey.minImageSize = 17
        survey.buckets = try AspectBuckets(size: 64, ratios: [1, 0.5], step: 32)
        survey.countTokens = { $0.utf8.count }
        let report = survey.report(on: [shard])
        #expect(report.samples == 8 && report.kept == 3 && report.shards == 1 && report.repeatedKeys == 1)
        #expect(
            report.drops.samples == [
                "image can't be decoded": 2, "image is too small": 1, "no caption": 2,
            ])
        #expect(report.examples["image can't be decoded"]?.names == ["\(shard.name)/d", "\(shard.name)/e"])
        #expect(report.formats == [.png: 1, .jpeg: 2] && report.decoded == 4)
        let sizes = [report.sizes.smallest, report.sizes.median, report.sizes.largest].map { [$0?.width, $0?.height] }
        #expect(sizes == [[64, 64], [100, 50], [200, 210]] && report.sizes.distinct == 3)
        // The buckets of 64 are 64x64, 32x64 and 64x32 pixels.
        #expect(
            Dictionary(uniqueKeysWithValues: report.buckets.map { ([$0.key.width, $0.key.height], $0.value) }) == [
                [64, 64]: 2, [64, 32]: 1,
            ])
        #expect(report.enlarged == 0)
        let captions = report.captions
        #expect(captions.characters.smallest == 2 && captions.characters.largest == 12)
        #expect(captions.words.smallest == 0 && captions.words.median == 1 && captions.words.largest == 3)
        #expect(captions.tokens.largest == 13 && captions.empty == 1)
    }

    @Test func `captions are searched for texts, whatever their letters' case`() throws {
        let folder = try ScratchFolder()
        var survey = DatasetSurvey(reading: SampleReading())
        survey.texts = ["CAPTION 1", "[ohwx]"]
        // 1 and 10 to 19.
        #expect(survey.report(on: [try tar(folder, "a.tar", samples(20))]).captions.found == ["CAPTION 1": 11])
    }

    @Test func `images that are not decoded have their headers read`() throws {
        let folder = try ScratchFolder()
        let whole = try image(100, 50).jpeg()
        let shards = try ["a", "b"].map { name in
            try tar(
                folder, name,
                [
                    ("0.jpg", [1, 2]), ("0.txt", [65]), ("1.jpg", Array(whole.dropLast(200))), ("1.txt", [65]),
                    ("2.jpg", whole), ("2.txt", [65]),
                ])
        }
        func report(_ limit: Int?) -> DatasetReport {
            DatasetSurvey(reading: SampleReading(), decodeLimit: limit).report(on: shards)
        }
        // Each shard's first is counted as decoded only where its header can be read.
        #expect([nil, 0, 1, 2, 4, 6].map { report($0).kept } == [2, 4, 4, 4, 2, 2])
        #expect([nil, 0, 4].map { report($0).decoded } == [4, 0, 2])
        #expect(report(0).drops.samples == ["image can't be decoded": 2])
    }

    @Test func `broken shards are named`() throws {
        let folder = try ScratchFolder()
        let good = try tar(folder, "good.tar", samples(3))
        let bytes = try readFile(good.name)
        let cut = Shard(path: try folder.write("cut.tar", Array(bytes.prefix(bytes.count / 2))))
        let junk = Shard(path: try folder.write("junk.tar", Array("junk".utf8)))
        let report = DatasetSurvey(reading: SampleReading()).report(on: [good, cut, junk])
        #expect(report.shards == 3 && report.kept >= 3)
        #expect(report.drops.broken["shard can't be opened"] == 1)
        #expect(report.examples["shard can't be opened"]?.names == [junk.name])
        #expect(report.drops.broken.keys.allSatisfy { report.examples[$0] != nil })
    }

    @Test func `a sheet shows the same samples every time, spread over the data`() throws {
        let folder = try ScratchFolder()
        let shards = try (0..<4).map { try tar(folder, "\($0).tar", samples(20, "\($0)-")) }
        var survey = DatasetSurvey(reading: SampleReading(), decodeLimit: 0)
        survey.buckets = try AspectBuckets(size: 64, step: 32)
        func names(_ seed: UInt64) -> [String] {
            let sheet = ContactSheet(limit: 12, side: 32, seed: seed)
            _ = survey.report(on: shards, sheet: sheet)
            #expect(sheet.cells.allSatisfy { $0.image.width == 32 && $0.width == 64 && $0.caption.hasPrefix("capt") })
            return sheet.cells.map { String($0.name.split(separator: "/").last ?? "") }
        }
        let first = names(1)
        #expect(first.count == 12 && Set(first).count == 12)
        #expect(names(1) == first && names(2) != first)
        // Keys are SHARD-NUMBER, and come in the order of the data.
        let places = first.map { $0.split(separator: "-").compactMap { Int($0) } }
        #expect(places == places.sorted { ($0[0], $0[1]) < ($1[0], $1[1]) } && Set(places.map(\.first)).count > 1)
    }

    @Test func `a tally knows its middle`() {
        #expect(Tally().median == nil && Tally().mean == nil)
        for numbers in [[5], [4, 1], [3, 3, 9], [7, 1, 1, 1, 8, 2], Array(0..<11)] {
            var tally = Tally()
            for number in numbers { tally.add(number) }
            let sorted = numbers.sorted()
            #expect(tally.median == sorted[(sorted.count - 1) / 2])
            #expect(tally.smallest == sorted.first && tally.largest == sorted.last && tally.count == sorted.count)
            #expect(tally.mean == Double(numbers.reduce(0, +)) / Double(numbers.count))
            #expect(tally.count(above: 3) == numbers.filter { $0 > 3 }.count)
        }
    }
}
