import Foundation
import Images
import JSON
import TestSupport
import Testing

@Suite struct DatasetInspectTests {
    /// A tar of twelve images of 64 pixels a side, `width` 0 to 11 in their JSON; the last has none.
    private func data(_ scratch: Scratch) throws -> String {
        let folder = try Scratch()
        for (number, sample) in TinyWorld.images(12, seed: 0).enumerated() {
            try sample.image.write(to: folder["\(100 + number).png"])
            try folder.write(sample.caption, to: "\(100 + number).txt")
            if number < 11 { try folder.write("{\"width\": \(number), \"height\": 5}", to: "\(100 + number).json") }
        }
        try expectSuccess(["dataset", "pack", folder.path, scratch["data.tar"], "--quiet"])
        return scratch["data.tar"]
    }

    private func inspect(_ arguments: String...) throws -> JSON {
        try JSON.parse(try expectSuccess(["dataset", "inspect", "--json"] + arguments), file: "report")
    }

    @Test func `filters beside the data drop by reason, wherever they stand`() throws {
        let scratch = try Scratch()
        let tar = try data(scratch)
        let all = try inspect(tar)
        #expect(all["samples"]?.intValue == 12 && all["kept"]?.intValue == 12 && all["dropped"] == [:])
        #expect(all["broken"] == [:] && all["decoded"]?.intValue == 12 && all["formats"] == ["PNG": 12])
        #expect(all["sizes"]?["median"] == [64, 64] && all["sizes"]?["smaller_than_bucket"]?.intValue == 12)
        #expect(all["captions"]?["words"]?["median"]?.intValue == 4)
        let filters = ["--filter", "width", "lambda w: w > 2", "--filter", "width, height", "lambda w, h: w < h * 2"]
        let expected: JSON = ["filtered by `width`": 3, "filtered by `width, height`": 1, "no json": 1]
        for arguments in [[tar] + filters, filters + [tar]] {
            let report = try JSON.parse(
                try expectSuccess(["dataset", "inspect", "--json", "--decode", "none"] + arguments), file: "report")
            #expect(report["kept"]?.intValue == 7 && report["dropped"] == expected && report["decoded"]?.intValue == 0)
        }
    }

    @Test func `a configuration names data, captions, filters and buckets`() throws {
        let scratch = try Scratch()
        let world = try TinyWorld.shared()
        let path = try scratch.write(
            world.configuration(
                in: scratch,
                [
                    "webdataset_path": try data(scratch), "dataset_filters": "[[width, 'lambda w: w != 4']]",
                    "multi_aspect_ratio": "[1/1, 1/2]",
                ]), to: "run.yaml")
        let report = try inspect("--config", path, "--filter", "width", "lambda w: w < 10")
        #expect(report["kept"]?.intValue == 9 && report["dropped"] == ["filtered by `width`": 2, "no json": 1])
        #expect(report["buckets"] == [["width": 64, "height": 64, "samples": 9]])
        let plan = try JSON.parse(try expectSuccess(["plan", path, "--json"]), file: "plan")
        #expect(plan["data"]?["samples"] == report["samples"] && plan["data"]?["kept"]?.intValue == 10)
        // Paths that are given come before the configuration's.
        #expect(try inspect(world.data, "--config", path)["dropped"] == ["no json": 12])
        try scratch.write("webdataset_path: x.tar\nimage_size: wide\n", to: "bad.yaml")
        try expectRefusal(["dataset", "inspect", "--config", scratch["bad.yaml"]], saying: "bad.yaml:2", "image_size")
    }

    @Test func `a token to learn that no caption holds is said`() throws {
        let scratch = try Scratch()
        let tar = try data(scratch)
        let word = "DOG"
        let path = try scratch.write(
            "webdataset_path: \(tar)\nimage_size: 64\ntrain_tokens: [['[ohwx]', '^a</w>'], ['^\(word)</w>', null]]\n",
            to: "run.yaml")
        let warning = "[ohwx], a token to learn, is in no caption of 12: it is never trained"
        #expect(try inspect("--config", path)["warnings"] == [.string(warning)])
        #expect(try expectSuccess(["dataset", "inspect", "--config", path]).hasSuffix("warning: \(warning)\n"))
        #expect(try inspect(tar)["warnings"] == [])
    }

    @Test func `data of which nothing is kept is a fact, said plainly`() throws {
        let scratch = try Scratch()
        let arguments = ["dataset", "inspect", try data(scratch), "--filter", "width", "lambda w: w > 99"]
        let outcome = try Command.run(arguments + ["--sheet", scratch["sheet.png"]])
        #expect(outcome.status == 0 && outcome.output.contains("no sample is kept"), "\(outcome)")
        #expect(outcome.errors.contains("no sheet"), "\(outcome)")
        #expect(!FileManager.default.fileExists(atPath: scratch["sheet.png"]))
        try scratch.write("junk", to: "junk.tar")
        let junk = try inspect(scratch["junk.tar"])
        #expect(junk["samples"]?.intValue == 0 && junk["broken"] == ["shard can't be opened": 1])
    }

    @Test func `a sheet shows images with their captions`() throws {
        let scratch = try Scratch()
        let tar = try data(scratch)
        func sheet(_ more: String...) throws -> Image {
            try expectSuccess(
                ["dataset", "inspect", tar, "--size", "64", "--ratios", "1/1", "--sheet", scratch["sheet.png"]] + more)
            return try Image(contentsOf: scratch["sheet.png"])
        }
        let first = try sheet()
        let paper = stride(from: 0, to: first.pixels.count, by: 3).filter { index in
            first.pixels[index..<index + 3].allSatisfy { $0 == 255 }
        }
        #expect(paper.count > 0 && paper.count < first.width * first.height - 12 * 64 * 64)
        #expect(try sheet() == first)
        let few = try sheet("--filter", "width", "lambda w: w < 2")
        #expect(few.width < first.width && few.height < first.height)
    }

    @Test func `what is not understood or not there is refused`() throws {
        let scratch = try Scratch()
        let tar = try data(scratch)
        func refused(_ more: String..., saying part: String) throws {
            try expectRefusal(["dataset", "inspect", tar] + more, saying: part)
        }
        try refused("--filter", "width", "lambda w: w >> 3", saying: "character 14")
        try refused("--filter", "width", "w > 3", saying: "character 1,")
        try refused("--filter", "width", "lambda a, b: a", saying: "1 parameter")
        try refused("--filter", "width", saying: "width")
        try refused("--filter", "a,,b", "lambda a, b: a", saying: "a,,b")
        try refused("--decode", "some", saying: "some")
        try refused("--decode=-1", saying: "-1")
        try refused("--ratios", "1/0", saying: "1/0")
        try refused("--size", "5", saying: "5")
        try refused("--sheet", scratch["sheet.gif"], saying: ".png")
        try refused("--sheet", scratch["none/sheet.png"], saying: "none/sheet.png")
        try refused("--tokenizer", scratch.path, saying: "vocab.json")
        try refused("--config", scratch["none.yaml"], saying: "none.yaml")
        try expectRefusal(["dataset", "inspect"], saying: "--config")
        try expectRefusal(["dataset", "inspect", scratch["none.tar"]], saying: "none.tar")
        try expectRefusal(["dataset", "inspect", scratch["data"]], saying: "data")
    }

    @Test func `tokens are counted by a tokenizer`() throws {
        let scratch = try Scratch()
        let world = try TinyWorld.shared()
        // "a dog number 3" and start and end, by the tiny vocabulary.
        let captions = try inspect(try data(scratch), "--tokenizer", world.folder["text"])["captions"]
        #expect((captions?["tokens"]?["smallest"]?.intValue ?? 0) >= 6 && captions?["over_77_tokens"]?.intValue == 0)
    }
}
