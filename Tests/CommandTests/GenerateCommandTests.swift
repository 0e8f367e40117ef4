import Foundation
import Images
import JSON
import TestSupport
import Testing
import Torch
import Weights

@Suite struct GenerateCommandTests {
    private let folder: GenerationFolder

    init() throws { folder = try GenerationFolder() }

    // MARK: Files

    @Test func `an image says how it was made, and is made again byte for byte`() throws {
        let made = try expectSuccess(
            folder.generate("--prompt", "a dög", "--negative", "cat", "--seed", "7", "-o", folder["a.png"], "--json"))
        let report = try JSON.parse(made, file: "report")
        #expect(report["files"]?[0]?.stringValue == folder["a.png"] && report["seeds"]?[0]?.intValue == 7)
        #expect((report["seconds"]?[0]?.doubleValue ?? 0) > 0)
        let image = try Image(contentsOf: folder["a.png"])
        #expect(image.width == 128 && image.height == 96)
        let texts = PNGTexts.read(try folder.read("a.png"))
        let lines = (texts["parameters"] ?? "").split(separator: "\n")
        #expect(lines.count == 3 && lines[0] == "a dög" && lines[1] == "Negative prompt: cat")
        #expect(
            lines.last?.hasPrefix("Steps: 3, Sampler: DDPM, CFG scale: 4, Seed: 7, Size: 128x96, Model: stage_c")
                == true)
        try expectSuccess(["generate", "--like", folder["a.png"], "-o", folder["b.png"], "--quiet"])
        #expect(try folder.read("a.png") == folder.read("b.png"))
        try expectSuccess(["generate", "--like", folder["a.png"], "--seed", "8", "-o", folder["c.png"], "--quiet"])
        #expect(try folder.read("a.png") != folder.read("c.png"))
    }

    @Test func `JPEG and WebP by the ending`() throws {
        for name in ["a.jpg", "a.webp"] {
            try expectSuccess(folder.generate("--prompt", "a dog", "-o", folder[name]))
            #expect(try Image(contentsOf: folder[name]).width == 128)
        }
        #expect(try folder.read("a.webp")[8..<12].elementsEqual("WEBP".utf8))
    }

    @Test func `a folder is numbered on`() throws {
        for _ in 0..<2 { try expectSuccess(folder.generate("--prompt", "a dog", "--count", "2", "-o", folder["out"])) }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder["out"]).sorted()
                == ["00001-0.png", "00002-1.png", "00003-0.png", "00004-1.png"])
    }

    // MARK: Images

    @Test func `in a batch, and with all networks kept, an image is the one it is alone`() throws {
        try expectSuccess(folder.generate("--prompt", "a dog", "--seed", "5", "-o", folder["alone.png"]))
        let alone = try Image(contentsOf: folder["alone.png"])
        for (name, extra) in [("batch", ["--batch", "3"]), ("kept", ["--keep"])] {
            try expectSuccess(
                folder.generate("--prompt", "a dog", "--seed", "3", "--count", "3", "-o", folder[name]) + extra)
            let image = try Image(contentsOf: folder["\(name)/00003-5.png"])
            #expect(largestDifference(alone, image) <= 1, "\(name)")
        }
        #expect(alone.pixels.contains { $0 != alone.pixels[0] })
    }

    @Test func `given noise and DDIM leave nothing to chance`() throws {
        let generator = try Generator(seed: 9)
        try SafetensorsWriter.write(
            [("stage_c", try generator.normal([2, 16, 3, 3])), ("stage_b", try generator.normal([2, 4, 24, 32]))],
            to: folder["noise.safetensors"])
        func latents(_ seed: String) throws -> SafetensorsFile {
            try expectSuccess(
                folder.generate(
                    "--prompt", "a dog", "--count", "2", "--sampler", "ddim", "--seed", seed, "--noise",
                    folder["noise.safetensors"], "--latents", folder["\(seed).safetensors"], "-o", folder["out"]))
            return try SafetensorsFile(folder["\(seed).safetensors"])
        }
        let (first, second) = (try latents("1"), try latents("2"))
        for (name, shape) in ["stage_c": [2, 16, 3, 3], "stage_b": [2, 4, 24, 32], "image": [2, 3, 96, 128]] {
            #expect(try first.required(name).shape == shape)
            #expect(try largestDifference(first.required(name), second.required(name)) == 0)
        }
    }

    @Test func `a file of prompts`() throws {
        try folder.scratch.write("a dog --d 4 --w 96 --h 64\na cat --n dog --l 2 --s 2\n", to: "prompts.txt")
        let made = try expectSuccess(
            folder.generate("--prompts", folder["prompts.txt"], "-o", folder["out"], "--decoder", "previewer", "--json")
        )
        let report = try JSON.parse(made, file: "report")
        #expect(report["seeds"]?.arrayValue?.map(\.intValue) == [4, 0])
        let first = try Image(contentsOf: report["files"]?[0]?.stringValue ?? "")
        #expect(first.width == 96 && first.height == 64)
    }

    @Test func `a sweep is one labelled grid`() throws {
        try expectSuccess(
            folder.generate(
                "--prompt", "a dog", "--sweep", "cfg=1,4,6", "--sweep", "seed=1,2", "--decoder", "previewer", "-o",
                folder["grid.png"]))
        let grid = try Image(contentsOf: folder["grid.png"])
        #expect(grid.width == 3 * 128 + 4 && grid.height == 2 * (96 + 16) + 2)
    }

    @Test func `a prompt that is too long is cut, and what is cut is said`() throws {
        let words = (0..<60).map { "dog\($0)" }.joined(separator: " ")
        let outcome = try Command.run(
            [
                "generate", "--models", folder["models"], "--size", "64", "--steps", "1,1", "--prompt", words, "-o",
                folder["a.png"],
            ])
        #expect(outcome.status == 0, "\(outcome)")
        #expect(outcome.errors.contains("this is cut: dog") && outcome.errors.contains("dog59"), "\(outcome)")
        #expect(outcome.errors.contains("memory: about "), "\(outcome)")
    }

    // MARK: From images

    @Test func `from an image, with a mask, and by reconstruction`() throws {
        try folder.image("photo.png")
        try Image(width: 64, height: 64, colour: (255, 255, 255)).write(to: folder["mask.png"])
        let start = ["--init", folder["photo.png"], "--denoise", "0.6"]
        try expectSuccess(folder.generate("--prompt", "a dog", "-o", folder["a.png"]) + start)
        try expectSuccess(
            folder.generate("--prompt", "a dog", "--mask", folder["mask.png"], "-o", folder["b.png"]) + start)
        #expect(try Image(contentsOf: folder["a.png"]) == Image(contentsOf: folder["b.png"]))
        for stage in ["a", "b"] {
            let made = try expectSuccess(
                [
                    "reconstruct", folder["photo.png"], "-o", folder["out"], "--stage", stage, "--json", "--quiet",
                    "--models", folder["models"],
                ])
            let report = try JSON.parse(made, file: "report")
            #expect(report["files"]?[0]?.stringValue == folder["out/photo.png"])
            #expect((report["psnr"]?[0]?.doubleValue ?? 0) > 0)
        }
    }

    // MARK: What is wrong

    @Test func `nothing is asked for`() throws {
        try expectRefusal(folder.generate("-o", folder["a.png"]), saying: "--prompt TEXT or --prompts FILE")
        try expectRefusal(
            folder.generate("--prompt", "a", "-o", folder["a.png"], "--lora", folder["none.safetensors"]),
            saying: "none.safetensors")
        #expect(!FileManager.default.fileExists(atPath: folder["a.png"]))
    }

    @Test(arguments: ["0", "100000", "0x64", "64x100000", "a"])
    func `a size that cannot be`(size: String) throws {
        try expectRefusal(
            ["generate", "--models", folder["models"], "--prompt", "a", "--size", size, "-o", folder["a.png"]])
    }

    @Test func `sweeps that cannot be`() throws {
        let values = (0..<10_000).map(String.init).joined(separator: ",")
        for sweep in ["seed=\(values)", "lora=1,2", "x=1", "denoise=0.5", "cfg=a"] {
            try expectRefusal(folder.generate("--prompt", "a", "--sweep", sweep, "-o", folder["a.png"]))
        }
        let row = (0..<99).map(String.init).joined(separator: ",")
        try expectRefusal(
            folder.generate("--prompt", "a", "--sweep", "seed=\(row)", "--sweep", "cfg=\(row)", "-o", folder["a.png"]),
            saying: "too large a grid")
    }

    @Test func `images and masks that cannot be`() throws {
        try folder.scratch.write("no image", to: "text.png")
        try folder.image("photo.png")
        try Image(width: 32, height: 64, colour: (255, 255, 255)).write(to: folder["mask.png"])
        try expectRefusal(folder.generate("--prompt", "a", "--init", folder["text.png"], "-o", folder["a.png"]))
        try expectRefusal(
            folder.generate(
                "--prompt", "a", "--init", folder["photo.png"], "--mask", folder["mask.png"], "-o", folder["a.png"]),
            saying: "another size")
        try expectRefusal(
            folder.generate("--prompt", "a", "--count", "2", "-o", folder["a.png"]), saying: "a folder")
        try expectRefusal(folder.generate("--prompt", "a", "-o", folder["a.gif"]), saying: ".png")
        try expectRefusal(folder.generate("--prompt", "a", "--denoise", "0.5", "-o", folder["a.png"]), saying: "--init")
    }

    @Test func `weights of another stage, and missing ones, are told before anything is made`() throws {
        try FileManager.default.removeItem(atPath: folder["models/stage_b.safetensors"])
        try FileManager.default.copyItem(
            atPath: folder["models/stage_a.safetensors"], toPath: folder["models/stage_b_bf16.safetensors"])
        try expectRefusal(
            folder.generate("--prompt", "a", "-o", folder["a.png"]), saying: "there is no Stage B in the weights")
        try FileManager.default.removeItem(atPath: folder["models/stage_b_bf16.safetensors"])
        try expectRefusal(
            folder.generate("--prompt", "a", "-o", folder["a.png"]), saying: "cascade-adapt models get stage-b-bf16")
    }

    @Test func `a variation wants CLIP's image encoder, and says how to get it`() throws {
        let photo = try folder.image("photo.png")
        try expectRefusal(
            ["vary", "--image", photo, "-o", folder["a.png"]] + folder.common,
            saying: "cascade-adapt models get clip-image",
            in: folder.scratch.path)
    }

    @Test func `an interruption keeps what is done`() throws {
        let outcome = try Command.run(
            folder.generate("--prompt", "a dog", "--count", "2000", "-o", folder["out"], "--keep")
        ) { process in
            for _ in 0..<600 {
                let names = (try? FileManager.default.contentsOfDirectory(atPath: folder["out"])) ?? []
                if names.contains(where: { $0.hasSuffix(".png") }) { break }
                usleep(50_000)
            }
            process.interrupt()
        }
        #expect(outcome.exited && outcome.status == 130, "\(outcome)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder["out"])
        #expect(!names.isEmpty && names.count < 2000)
        for name in names { #expect(throws: Never.self) { try Image(contentsOf: folder["out/\(name)"]) } }
    }
}
