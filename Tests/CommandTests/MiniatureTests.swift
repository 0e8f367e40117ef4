import Foundation
import Images
import JSON
import TestSupport
import Testing
import Torch
import Weights

/// The weights that come with the program: what is made of them means something.
@Suite struct MiniatureTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    private static let checkout = String(#filePath.dropLast("/Tests/CommandTests/MiniatureTests.swift".count))
    private static let folder = "\(checkout)/examples/miniature"

    private func generate(_ name: String, _ arguments: String...) throws -> Image {
        try expectSuccess(
            ["generate", "--models", "miniature", "-o", scratch[name], "--quiet"] + arguments, in: Self.checkout)
        return try Image(contentsOf: scratch[name])
    }

    /// The median of an image's border, by channel.
    private func border(_ image: Image) -> [Int] {
        (0..<3).map { channel in
            let values = (0..<image.width).flatMap { x in
                [0, image.height - 1].map { y in Int(image.pixels[3 * (y * image.width + x) + channel]) }
            }
            return values.sorted()[values.count / 2]
        }
    }

    @Test func `it takes fifteen megabytes at most`() throws {
        let files = try #require(FileManager.default.enumerator(atPath: Self.folder)).compactMap { $0 as? String }
        let weights = files.filter { $0.hasSuffix(".safetensors") }
        #expect(weights.count == 5)
        let bytes = try weights.map { try Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/\($0)")).count }
        #expect(bytes.reduce(0, +) <= 15_000_000)
    }

    @Test func `it draws where no official Stage C is, and says so`() throws {
        // A folder of its own, in which there are no models.
        let outcome = try Command.run(
            ["generate", "--prompt", "a fox on a blue background", "-o", scratch["fox.png"]], in: scratch.path,
            environment: ["HF_HOME": scratch["none"], "HF_HUB_CACHE": scratch["none"]])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.errors.contains("the miniature is used"))
        let image = try Image(contentsOf: scratch["fox.png"])
        #expect(image.width == 96 && image.height == 96)
        let blue = border(image)
        #expect(blue[2] > blue[0] + 80 && blue[2] > blue[1] + 40, "\(blue)")
    }

    @Test func `a prompt decides the background and the subject`() throws {
        let red = border(try generate("red.png", "--prompt", "a pear on a red background"))
        #expect(red[0] > red[1] + 80 && red[0] > red[2] + 80, "\(red)")
        let green = border(try generate("green.png", "--prompt", "a pear on a green background"))
        #expect(green[1] > green[0] + 40 && green[1] > green[2] + 40, "\(green)")
        // A tomato is red in the middle, a leaf is not.
        func middle(_ image: Image) -> [Int] {
            (0..<3).map { Int(image.pixels[3 * (48 * image.width + 48) + $0]) }
        }
        let tomato = middle(try generate("tomato.png", "--prompt", "a tomato on a white background"))
        #expect(tomato[0] > tomato[1] + 60 && tomato[0] > tomato[2] + 60, "\(tomato)")
    }

    @Test func `an image goes through encoder and previewer and comes back`() throws {
        try generate("fox.png", "--prompt", "a fox on a blue background").write(to: scratch["a.png"])
        let made = try expectSuccess(
            ["reconstruct", scratch["a.png"], "--models", "miniature", "-o", scratch["back"], "--json"],
            in: Self.checkout)
        let decibels = try JSON.parse(made, file: "report")["psnr"]?[0]?.doubleValue ?? 0
        #expect(decibels > 22, "\(decibels)")
    }

    @Test func `a LoRA is trained on its own images, shown, and merged into it`() throws {
        for (index, colour) in ["red", "green", "blue", "white"].enumerated() {
            let name = "images/\(index)"
            let image = try generate("\(index).png", "--prompt", "a fox on a \(colour) background")
            try FileManager.default.createDirectory(atPath: scratch["images"], withIntermediateDirectories: true)
            try image.write(to: scratch["\(name).png"])
            try scratch.write("a fox on a black background", to: "\(name).txt")
        }
        let changes = [
            "checkpoint_path": scratch["runs"], "output_path": scratch["output"], "webdataset_path": scratch["images"],
            "train_tokens": "null", "token_lr": "null", "updates": "6", "save_every": "6", "batch_size": "4",
            "lr": "0.02", "warmup_updates": "1", "lr_schedule": "constant",
        ]
        try expectSuccess(
            ["lora", "examples/miniature/fernando.yaml", "--quiet"]
                + changes.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }, in: Self.checkout)
        let preview = try Image(contentsOf: scratch["output/fernando/000006.jpg"])
        #expect(preview.width >= 96 && preview.pixels.contains { $0 != preview.pixels[0] })

        // The miniature with the LoRA merged into its Stage C.
        let lora = scratch["runs/fernando/lora.safetensors"]
        try FileManager.default.createDirectory(atPath: scratch["merged"], withIntermediateDirectories: true)
        for name in [
            "stage_c.yaml", "generate.yaml", "effnet.safetensors", "previewer.safetensors", "clip-text", "clip-image",
        ] {
            try FileManager.default.createSymbolicLink(
                atPath: scratch["merged/\(name)"], withDestinationPath: "\(Self.folder)/\(name)")
        }
        try expectSuccess([
            "merge", "\(Self.folder)/stage_c.safetensors", lora, "-o", scratch["merged/stage_c.safetensors"], "--arch",
            "\(Self.folder)/stage_c.yaml",
        ])
        let prompt = ["--prompt", "a fox on a yellow background", "--dtype", "float32"]
        func drawn(_ name: String, _ arguments: [String]) throws -> [Double] {
            try expectSuccess(["generate", "-o", scratch[name], "--quiet"] + prompt + arguments, in: Self.checkout)
            return try Image(contentsOf: scratch[name]).pixels.map(Double.init)
        }
        func distance(_ a: [Double], _ b: [Double]) -> Double {
            zip(a, b).reduce(0) { $0 + abs($1.0 - $1.1) } / Double(a.count)
        }
        let plain = try drawn("plain.png", ["--models", "miniature"])
        let adapted = try drawn("adapted.png", ["--models", "miniature", "--lora", lora])
        let merged = try drawn("merged.png", ["--models", scratch["merged"]])
        // Merged weights are kept in bfloat16, as the base has them.
        #expect(distance(plain, adapted) > 2)
        #expect(distance(merged, adapted) < distance(plain, adapted) / 4)
    }

    @Test func `an adapter of another width is refused with both sizes`() throws {
        let keys = TinyWorld.lora.merging(["updates": "1", "train_tokens": ""]) { $1 }
        try scratch.write(try TinyWorld.shared().configuration(in: scratch, keys), to: "lora.yaml")
        try expectSuccess(["lora", scratch["lora.yaml"]])
        let outcome = try Command.run(
            [
                "generate", "--models", "miniature", "--prompt", "a fox", "--lora",
                "\(scratch["checkpoints/run/lora.safetensors"])",
                "-o", scratch["x.png"],
            ], in: Self.checkout)
        #expect(outcome.status == 2)
        #expect(outcome.errors.contains("16") && outcome.errors.contains("192"), "\(outcome.errors)")
    }
}
