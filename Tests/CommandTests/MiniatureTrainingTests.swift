import Failures
import Files
import Foundation
import Images
import JSON
import Shards
import TestSupport
import Testing
import Torch
import Weights

private let root = String(#filePath.dropLast("Tests/CommandTests/MiniatureTrainingTests.swift".count))

/// `cascade-miniature`, run as a person runs it, on a handful of drawn images and small networks.
@Suite struct MiniatureTrainingTests {
    private static let program = sibling("cascade-miniature", of: Command.program)

    /// A folder of data in which 12 images of two subjects on two backgrounds serve for everything.
    private func data(side: Int) throws -> Scratch {
        let folder = try Scratch()
        try Folder.make(folder["images"])
        for number in 0..<12 {
            let (subject, background) = (number % 2 == 0 ? "fox" : "owl", number % 4 < 2 ? "red" : "blue")
            let back: (UInt8, UInt8, UInt8) = background == "red" ? (220, 40, 40) : (40, 60, 220)
            var pixels: [UInt8] = []
            for place in 0..<side * side {
                let (row, column) = (place / side - side / 2, place % side - side / 2 - number % 5)
                let isInside =
                    subject == "fox" ? abs(row) + abs(column) < side / 3 : max(abs(row), abs(column)) < side / 5
                pixels += isInside ? [240, 200, 30] : [back.0, back.1, back.2]
            }
            let name = folder["images/\(100 + number)"]
            try Image(width: side, height: side, pixels: pixels).write(to: "\(name).png")
            try writeAtomically("a \(subject) on a \(background) background", to: "\(name).txt")
            try writeAtomically(#"{"subject": "\#(subject)", "background": "\#(background)"}"#, to: "\(name).json")
        }
        _ = try packDataset(folder: folder["images"], to: folder["train-00.tar"]) { _, _ in }
        for name in ["judging", "tuning", "seen", "pairs"] {
            try writeAtomically(readFile(folder["train-00.tar"]), to: folder["\(name).tar"])
        }
        try folder.write(
            """
            effnet: {widths: [8, 8, 16], depths: [1, 1], strides: [2, 2, 2], expansions: [1, 2], fused: 2, head: 16}
            previewer: {c_hidden: 16}
            """, to: "architecture.yaml")
        return folder
    }

    private func encoder(_ data: Scratch, _ output: String, steps: Int) -> [String] {
        [
            "encoder", "--data", data.path, "--architecture", data["architecture.yaml"], "-o", data[output], "--steps",
            "\(steps)", "--batch", "4", "--threads", "1",
        ]
    }

    private func losses(_ path: String) throws -> [Double] {
        try String(decoding: readFile(path), as: UTF8.self).split(separator: "\n").compactMap {
            try JSON.parse(String($0), file: path)["raw_loss"]?.doubleValue
        }
    }

    @Test func `encoder and previewer learn, and a run that was stopped ends with the same bytes`() throws {
        let data = try data(side: 32)
        let whole = try Command.run(encoder(data, "whole", steps: 60), program: Self.program)
        #expect(whole.status == 0, "\(whole)")
        #expect(whole.output.contains("judging: PSNR") && whole.output.contains("tuning: PSNR"), "\(whole)")
        let curve = data["whole/training/encoder/metrics.jsonl"]
        let losses = try losses(curve)
        #expect(losses.count == 60)
        let (first, last) = (losses.prefix(10).reduce(0, +), losses.suffix(10).reduce(0, +))
        #expect(last < 0.5 * first, "\(losses)")

        let begun = data["parts/training/encoder/metrics.jsonl"]
        let stopped = try Command.run(encoder(data, "parts", steps: 60), program: Self.program) { process in
            for _ in 0..<6000 where ((try? readFile(begun).count) ?? 0) < 1000 && process.isRunning { usleep(10_000) }
            process.terminate()
        }
        #expect(stopped.status == 130 && stopped.errors.contains("goes on from there"), "\(stopped)")
        #expect(!fileExists(data["parts/effnet.safetensors"]))
        let rest = try Command.run(encoder(data, "parts", steps: 60), program: Self.program)
        #expect(rest.status == 0 && rest.errors.contains("goes on after update"), "\(rest)")
        for name in ["effnet.safetensors", "previewer.safetensors", "training/encoder/checkpoint.safetensors"] {
            #expect(try readFile(data["parts/\(name)"]) == readFile(data["whole/\(name)"]), "\(name)")
        }
        #expect(try self.losses(begun) == losses)

        // Another seed in the same folder is another training.
        let other = try Command.run(encoder(data, "whole", steps: 60) + ["--seed", "2"], program: Self.program)
        #expect(other.status == 2 && other.errors.contains("with other values"), "\(other)")
        #expect(other.errors.contains(#""seed":2"#) && other.errors.contains(#""seed":1"#), "\(other)")
    }

    @Test func `towers learn to tell captions apart and leave other words where they do no harm`() throws {
        let data = try data(side: 96)
        let tokenizer = root + "models/clip-tokenizer"
        let outcome = try Command.run(
            [
                "towers", "--data", data.path, "-o", data["out"], "--steps", "40", "--batch", "12", "--threads", "1",
                "--tokenizer", tokenizer,
            ], program: Self.program)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(
            outcome.output.contains(
                "seen: nearest of 4 captions has the right subject 100.0 %, the right background 100.0 %"),
            "\(outcome)")
        let losses = try losses(data["out/training/towers/metrics.jsonl"])
        let (first, last) = (losses.prefix(5).reduce(0, +), losses.suffix(5).reduce(0, +))
        #expect(last < first, "\(losses)")

        // Read by the product's own command, in transformers' layout.
        for (folder, module) in [("clip-text", "clip_text_model"), ("clip-image", "clip_vision_model")] {
            let configuration = try JSON.read(data["out/\(folder)/config.json"])
            #expect(configuration["model_type"]?.stringValue == module)
        }
        let table = try SafetensorsFile(data["out/clip-text/model.safetensors"])
            .required("text_model.embeddings.token_embedding.weight").to(dtype: .float32)
        let words = try tokens("a fox on a red background", tokenizer)
        let rows = try withoutGradients { try table.gathered(0, Tensor(words)) }
        let trained = try rows.variance([0]).mean().item()
        let untrained = try table.sliced(0, 1000..<1200).variance([0]).mean().item()
        #expect(untrained < 0.05 * trained, "\(untrained) beside \(trained)")
        let positions = try SafetensorsFile(data["out/clip-text/model.safetensors"])
            .required("text_model.embeddings.position_embedding.weight").to(dtype: .float32)
        #expect(try largestDifference(positions.selected(0, 7), positions.selected(0, 76)) == 0)
    }

    private func tokens(_ caption: String, _ tokenizer: String) throws -> [Int] {
        let said = try JSON.parse(
            expectSuccess(["tokenize", caption, "--tokenizer", tokenizer, "--json"]), file: "stdout")
        let ids = said["ids"]?.arrayValue?.compactMap(\.intValue) ?? []
        return Array(ids.prefix { $0 != 49407 }) + [49407]
    }

    @Test func `what can't be trained on is said`() throws {
        let data = try data(side: 32)
        func refused(_ arguments: [String], _ parts: String...) throws {
            let outcome = try Command.run(arguments, program: Self.program)
            #expect(outcome.status == 2 && outcome.output.isEmpty, "\(outcome)")
            #expect(outcome.errorLines.contains { $0.hasPrefix("error: ") }, "\(outcome)")
            for part in parts { #expect(outcome.errors.contains(part), "\(outcome)") }
        }
        let good = encoder(data, "out", steps: 2)
        func with(_ option: String, _ value: String) -> [String] {
            var arguments = good
            if let place = arguments.firstIndex(of: option) { arguments[place + 1] = value }
            return arguments
        }
        try refused(with("--data", data["nowhere"]), "no folder with the data", "make.py")
        try refused(with("--data", data["images"]), "judging.tar", "make.py")
        try refused(with("--steps", "0"), "--steps is out of range")
        try refused(with("--architecture", data["nowhere.yaml"]), "nowhere.yaml")
        try refused(
            ["towers", "--data", data.path, "-o", data["out"], "--tokenizer", root + "models/clip-tokenizer"],
            "expected a side of 96 pixels, got 32")
        try refused(
            ["towers", "--data", data.path, "-o", data["out"], "--tokenizer", data["nowhere"]], "no tokenizer",
            "nowhere")
        try data.write("effnet: {strides: [2, 1, 2, 2, 2, 1, 2]}\n", to: "published.yaml")
        try refused(with("--architecture", data["published.yaml"]), "stride 32")

        try FileManager.default.removeItem(atPath: data["tuning.tar"])
        try refused(good, "tuning.tar", "make.py")
        try data.write("not a tar, but a text that is long enough to be taken for one\n", to: "tuning.tar")
        try refused(good, "tuning.tar")
        try writeAtomically(readFile(data["judging.tar"]), to: data["tuning.tar"])
        try data.write("nothing but its image\n", to: "images/100.txt")
        try FileManager.default.removeItem(atPath: data["images/100.json"])
        _ = try packDataset(folder: data["images"], to: data["train-00.tar"]) { _, _ in }
        try refused(good, "train-00.tar/100", "`subject` and `background`")
    }

    @Test func `what is collected is in bfloat16, says what it is and is not too large`() throws {
        let folder = try Scratch()
        let names = [
            "effnet.safetensors", "previewer.safetensors", "clip-text/config.json", "clip-text/model.safetensors",
            "clip-image/config.json", "clip-image/model.safetensors",
        ]
        for name in names.dropLast() {
            try Folder.make(parentFolder(of: folder["models/\(name)"]))
            try folder.write(name, to: "models/\(name)")
        }
        func collect(_ stageC: String) throws -> Command.Outcome {
            try Command.run(
                ["collect", "--models", folder["models"], "--stage-c", stageC, "-o", folder["out"]],
                program: Self.program)
        }
        let small = try folder.write(
            ["a": .init([1.5, -2, 1.00001, 0], [2, 2])], metadata: ["target": "v"], to: "small.safetensors")
        let lacking = try collect(small)
        #expect(lacking.status == 2 && lacking.errors.contains("clip-image/model.safetensors"), "\(lacking)")
        #expect(lacking.errors.contains("cascade-miniature towers"), "\(lacking)")

        try Folder.make(folder["models/clip-image"])
        for name in names.suffix(2) { try folder.write(name, to: "models/\(name)") }
        let made = try collect(small)
        #expect(made.status == 0 && made.output.contains("7 files"), "\(made)")
        for name in names { #expect(try readFile(folder["out/\(name)"]) == Array(name.utf8)) }
        let stageC = try SafetensorsFile(folder["out/stage_c.safetensors"])
        #expect(stageC.metadata == ["target": "v"] && stageC["a"]?.dtype == .bfloat16)
        #expect(try stageC.required("a").values(as: Float.self) == [1.5, -2, 1, 0])

        try SafetensorsWriter.write([("a", .zeros([7_500_000]))], to: folder["large.safetensors"])
        let large = try collect(folder["large.safetensors"])
        #expect(large.status == 1 && large.errors.contains("at most 15000000 bytes"), "\(large)")
        #expect(try SafetensorsFile(folder["out/stage_c.safetensors"]).metadata == ["target": "v"])
    }
}
