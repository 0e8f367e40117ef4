import Foundation
import Images
import JSON
import TestSupport
import Testing
import Torch
import Weights

private let root = String(#filePath.dropLast("Tests/CommandTests/DataCommandTests.swift".count))

/// An image in which Canny finds a square.
private func square(_ side: Int) -> Image {
    var pixels = [UInt8](repeating: 20, count: side * side * 3)
    for y in side / 4..<side * 3 / 4 {
        for x in side / 4..<side * 3 / 4 {
            for channel in 0..<3 { pixels[(y * side + x) * 3 + channel] = 230 }
        }
    }
    return Image(width: side, height: side, pixels: pixels)
}

@Suite struct DatasetCommandTests {
    @Test func `pack takes pairs and lists what it left out`() throws {
        let (scratch, out) = (try Scratch(), try Scratch())
        for name in ["b", "a"] {
            try square(16).write(to: scratch["\(name).png"])
            _ = try scratch.write("a \(name)", to: "\(name).txt")
        }
        _ = try scratch.write("not an image", to: "broken.jpg")
        _ = try scratch.write("text", to: "broken.txt")
        try square(16).write(to: scratch["latin.png"])
        try Data([0xE9]).write(to: URL(fileURLWithPath: scratch["latin.txt"]))
        let text = try expectSuccess(["dataset", "pack", scratch.path, out["out.tar"], "--json"])
        let report = try JSON.parse(text, file: "report")
        #expect(report["samples"]?.intValue == 2)
        #expect(
            report["left_out"]?.arrayValue?.compactMap { $0["reason"]?.stringValue } == [
                "broken image", "text is not UTF-8",
            ])
        let first = try Data(contentsOf: URL(fileURLWithPath: out["out.tar"]))
        try expectSuccess(["dataset", "pack", scratch.path, out["out.tar"]])
        #expect(try Data(contentsOf: URL(fileURLWithPath: out["out.tar"])) == first)
    }

    @Test func `pack makes shards of a size or of a number of samples`() throws {
        let (scratch, out) = (try Scratch(), try Scratch())
        for number in 0..<5 {
            try square(16).write(to: scratch["\(number).png"])
            _ = try scratch.write("a", to: "\(number).txt")
        }
        func pack(_ name: String, _ option: String, _ value: String) throws -> JSON {
            try JSON.parse(
                try expectSuccess(["dataset", "pack", scratch.path, out[name], option, value, "--json"]), file: "report"
            )
        }
        let counted = try pack("a.tar", "--shard-samples", "2")
        #expect(counted["shards"]?.arrayValue?.map { $0["samples"]?.intValue } == [2, 2, 1])
        #expect(counted["webdataset_path"]?.stringValue == out["a-{000000..000002}.tar"])
        #expect(try pack("b.tar", "--shard-size", "1.5MiB")["shards"]?.arrayValue?.count == 1)
        let read = try JSON.parse(
            try expectSuccess(["dataset", "inspect", out["a-{000000..000002}.tar"], "--json"]), file: "report")
        #expect(read["kept"]?.intValue == 5 && read["shards"]?.intValue == 3)
        for (option, value) in [
            ("--shard-size", "5XB"), ("--shard-size", "-5MB"), ("--shard-size", "0"), ("--shard-size", "99999999999TB"),
            ("--shard-samples", "0"), ("--shard-samples", "-1"), ("--shard-samples", "x"),
        ] {
            try expectRefusal(
                ["dataset", "pack", scratch.path, out["c.tar"], option, value], saying: String(option.dropFirst(2)))
        }
        try expectRefusal(
            ["dataset", "pack", scratch.path, out["a.tar"], "--shard-samples", "9"], saying: "a-000000.tar")
    }

    @Test func `a file that is read is replaced only where that is asked for`() throws {
        let (scratch, world) = (try Scratch(), try TinyWorld.shared())
        try FileManager.default.createDirectory(atPath: scratch["in"], withIntermediateDirectories: false)
        try square(64).write(to: scratch["in/a.png"])
        try scratch.write("a dog", to: "in/a.txt")
        let image = try Data(contentsOf: URL(fileURLWithPath: scratch["in/a.png"]))
        try square(64).write(to: scratch["mask.png"])
        let tar = scratch["data.png"]
        try Data(contentsOf: URL(fileURLWithPath: world.data)).write(to: URL(fileURLWithPath: tar))
        for (arguments, output) in [
            (["dataset", "pack", scratch["in"], scratch["in/a.png"]], scratch["in/a.png"]),
            (["dataset", "pack", scratch["in"], scratch["in/a.txt"]], scratch["in/a.txt"]),
            (["filter", "sheet", scratch["in/a.png"], "-o", scratch["in/a.png"]], scratch["in/a.png"]),
            (["dataset", "inspect", scratch["in"], "--sheet", scratch["in/a.png"]], scratch["in/a.png"]),
            (["dataset", "inspect", tar, "--sheet", tar], tar),
            (
                [
                    "filter", "apply", "InpaintFilter", scratch["in/a.png"], "-o", scratch["mask.png"], "--params",
                    "{mask: '\(scratch["mask.png"])'}",
                ], scratch["mask.png"]
            ),
        ] { try expectRefusal(arguments, saying: "the output would take the place of an input", output, "--overwrite") }
        #expect(try Data(contentsOf: URL(fileURLWithPath: scratch["in/a.png"])) == image)
        try expectSuccess(["dataset", "inspect", tar, "--sheet", tar, "--overwrite"])
        #expect(try Image(contentsOf: tar).width > 64)
        try expectSuccess(["dataset", "pack", scratch["in"], scratch["in/a.png"], "--overwrite"])
        #expect(try expectSuccess(["dataset", "inspect", scratch["in/a.png"]]).hasPrefix("1 samples"))
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func `an interrupted pack leaves no folder behind, and a killed one's goes at the next start`(signal: Int32) throws
    {
        let (scratch, out) = (try Scratch(), try Scratch())
        for number in 0..<60 {
            try square(300).write(to: scratch["\(number).png"])
            _ = try scratch.write("a dog", to: "\(number).txt")
        }
        func left() -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: out.path)) ?? [] }
        func waiting() -> Int {
            left().first.flatMap { try? FileManager.default.contentsOfDirectory(atPath: out[$0]).count } ?? 0
        }
        let words = ["dataset", "pack", scratch.path, out["a.tar"], "--shard-samples", "1"]
        let stopped = try Command.run(words) { process in
            while process.isRunning, waiting() < 12 { usleep(200) }
            kill(process.processIdentifier, signal)
        }
        #expect(stopped.exited && stopped.status == 130, "\(stopped)")
        #expect(left().isEmpty, "\(left())")

        let killed = try Command.run(words) { process in
            while process.isRunning, waiting() < 12 { usleep(200) }
            kill(process.processIdentifier, SIGKILL)
        }
        #expect(!killed.exited && left().count == 1)
        // Another's folder of such a name stays, and one with something else in it.
        try FileManager.default.createDirectory(atPath: out["a.tar.1.tmp"], withIntermediateDirectories: false)
        try expectSuccess(words)
        #expect(left().filter { !$0.hasSuffix(".tar") } == ["a.tar.1.tmp"] && left().count == 61)
    }

    @Test func `pack refuses folders without samples and places it can't write`() throws {
        let scratch = try Scratch()
        try expectRefusal(["dataset", "pack", scratch.path, scratch["out.tar"]], saying: "NAME.jpg")
        try expectRefusal(["dataset", "pack", scratch["none"], scratch["out.tar"]], saying: "none")
        try square(8).write(to: scratch["a.png"])
        _ = try scratch.write("a", to: "a.txt")
        try expectRefusal(["dataset", "pack", scratch.path, scratch["no/out.tar"]], saying: "no/out.tar")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).sorted() == ["a.png", "a.txt"])
    }
}

@Suite struct FilterCommandTests {
    @Test func `list names filters and parameters`() throws {
        #expect(try expectSuccess(["filter", "list"]).contains("CannyFilter"))
        let report = try JSON.parse(try expectSuccess(["filter", "list", "--json"]), file: "report")
        let canny = try #require(report["filters"]?[0])
        #expect(canny["name"]?.stringValue == "CannyFilter" && canny["channels"]?.intValue == 1)
        #expect(
            canny["parameters"]?.arrayValue?.compactMap { $0["name"]?.stringValue } == [
                "resize", "low_threshold", "high_threshold",
            ])
    }

    @Test func `list needs no model files`() throws {
        let list = try expectSuccess(["filter", "list"])
        for name in ["QRFilter", "SRFilter", "SREffnetFilter  (channels of the condition: 16)"] {
            #expect(list.contains(name))
        }
    }

    @Test func `list says which model files a filter takes and whether they are there`() throws {
        let scratch = try Scratch()
        func effnet() throws -> (line: String, json: JSON) {
            let text = try expectSuccess(["filter", "list"], in: scratch.path)
            let parsed = try JSON.parse(expectSuccess(["filter", "list", "--json"], in: scratch.path), file: "list")
            let filters = try #require(parsed["filters"]?.arrayValue)
            #expect(filters.first { $0["name"]?.stringValue == "CannyFilter" }?["model_files"]?.arrayValue == [])
            let filter = try #require(filters.first { $0["name"]?.stringValue == "SREffnetFilter" })
            let line = try #require(text.split(separator: "\n").first { $0.contains("model effnet: ") })
            return (String(line), try #require(filter["model_files"]?[0]))
        }
        let path = "models/effnet_encoder.safetensors"
        try FileManager.default.createDirectory(atPath: scratch["models"], withIntermediateDirectories: true)
        try scratch.write("x", to: path)
        let there = try effnet()
        #expect(there.line == "  model effnet: here: \(path)")
        #expect(there.json["path"]?.stringValue == path && there.json["here"]?.boolValue == true)
        try FileManager.default.removeItem(atPath: scratch[path])
        let missing = try effnet()
        guard missing.json["here"]?.boolValue == false else { return }  // it lies in this machine's cache of the hub
        #expect(missing.line == "  model effnet: not here (\(path)): cascade-adapt models get effnet")
        #expect(missing.json["advice"]?.stringValue == "cascade-adapt models get effnet")
    }

    @Test func `apply says how to get a model file that is missing`() throws {
        let scratch = try Scratch()
        try square(64).write(to: scratch["in.png"])
        try expectRefusal(
            [
                "filter", "apply", "SREffnetFilter", scratch["in.png"], "-o", scratch["o.png"], "--params",
                "{effnet_checkpoint_path: \(scratch["effnet_encoder.safetensors"])}",
            ], saying: "filter's model file is missing", "cascade-adapt models get effnet")
    }

    @Test func `apply shows the edges and writes the tensors`() throws {
        let scratch = try Scratch()
        try square(64).write(to: scratch["in.png"])
        try expectSuccess([
            "filter", "apply", "CannyFilter", scratch["in.png"], "-o", scratch["out.png"], "--params", "{resize: null}",
            "--tensor", scratch["out.safetensors"], "--seed", "3",
        ])
        let file = try SafetensorsFile(scratch["out.safetensors"])
        #expect(file["condition"]?.shape == [1, 1, 64, 64] && file["preview"]?.shape == [1, 3, 64, 64])
        let edges = try file.required("condition").values(as: Float.self)
        // The outline of a square of 32 pixels, one pixel wide; corners may be cut.
        #expect(Set(edges) == [0, 1] && (116...132).contains(edges.filter { $0 == 1 }.count))
        let shown = try Image(contentsOf: scratch["out.png"])
        #expect((0..<64 * 64).allSatisfy { Float(shown.pixels[$0 * 3]) == edges[$0] * 255 })
    }

    @Test func `apply refuses what it can't read, know or write`() throws {
        let scratch = try Scratch()
        try square(16).write(to: scratch["in.png"])
        let whole = try Data(contentsOf: URL(fileURLWithPath: scratch["in.png"]))
        try whole.prefix(whole.count / 2).write(to: URL(fileURLWithPath: scratch["cut.png"]))
        func apply(_ name: String, _ image: String, _ more: [String] = []) -> [String] {
            ["filter", "apply", name, scratch[image], "-o", scratch["o.png"]] + more
        }
        try expectRefusal(apply("CanyFilter", "in.png"), saying: "CannyFilter")
        try expectRefusal(apply("CannyFilter", "cut.png"), saying: "cut.png")
        try expectRefusal(apply("CannyFilter", "none.png"), saying: "none.png")
        try expectRefusal(apply("CannyFilter", "in.png", ["--params", "{resiz: 3}"]), saying: "resiz", "resize")
        try expectRefusal(apply("CannyFilter", "in.png", ["--params", "{resize: wide}"]), saying: "wide")
        try expectRefusal(apply("CannyFilter", "in.png", ["--params", "{"]), saying: "--params")
        try expectRefusal(
            ["filter", "apply", "CannyFilter", scratch["in.png"], "-o", scratch["o.gif"]], saying: ".png")
        #expect(!FileManager.default.fileExists(atPath: scratch["o.png"]))
    }
}

@Suite struct TokenizeCommandTests {
    private static let folder = root + "models/clip-tokenizer"

    @Test func `texts become ids`() throws {
        let json = try JSON.parse(
            try expectSuccess(["tokenize", "a photo of a dog", "--tokenizer", Self.folder, "--json"]), file: "report")
        // transformers' CLIPTokenizer, as in Tests/Goldens/write_tokenizer.py.
        #expect(json["ids"]?.arrayValue?.compactMap(\.intValue) == [49406, 320, 1125, 539, 320, 1929, 49407])
        let padded = try expectSuccess([
            "tokenize", "[fernando]", "--tokenizer", Self.folder, "--add", "[fernando]", "--pad",
        ])
        let ids = padded.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        #expect(ids.count == 77 && ids.prefix(3) == [49406, 49408, 49407])
    }

    @Test func `a folder without tokenizer is refused`() throws {
        let scratch = try Scratch()
        try expectRefusal(["tokenize", "a", "--tokenizer", scratch.path], saying: "vocab.json")
        _ = try scratch.write("{", to: "tokenizer.json")
        try expectRefusal(["tokenize", "a", "--tokenizer", scratch.path], saying: "tokenizer.json:1")
    }
}
