import Foundation
import Images
import TestSupport
import Testing
import Torch
import Weights

/// `finetune`, `lora` and `controlnet` as a person runs them: statuses, messages, signals.
@Suite struct TrainingCommandTests {
    /// A configuration file of the tiny world whose runs lie in `scratch`.
    private func configuration(_ scratch: Scratch, _ changes: [String: String]) throws -> String {
        try scratch.write(TinyWorld.shared().configuration(in: scratch, changes), to: "run.yaml")
    }

    /// The line of a key in a configuration file.
    private func line(of key: String, in path: String) throws -> Int {
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
        return try #require(lines.firstIndex { $0.hasPrefix("\(key):") }) + 1
    }

    @Test func `a LoRA is trained, and the file's path is the result`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.lora)
        let base = try Data(contentsOf: URL(fileURLWithPath: TinyWorld.shared().base))
        let outcome = try Command.run(["lora", path, "--set", "updates=5", "--steps", "2"])
        #expect(outcome.exited && outcome.status == 0, "\(outcome)")
        let file = scratch["checkpoints/run/lora.safetensors"]
        #expect(outcome.output == "\(file)\n")
        #expect(outcome.errors.contains("LoRA of rank 2") && !outcome.errors.contains("error"))
        #expect(try SafetensorsFile(file).metadata["trained_steps"] == "2")
        #expect(try Data(contentsOf: URL(fileURLWithPath: TinyWorld.shared().base)) == base)
        #expect(try expectSuccess(["inspect", file]).contains("lora"))
    }

    @Test(arguments: ["folder", "member"])
    func `a ControlNet is trained on a mask for each image, and previews show them`(kind: String) throws {
        let scratch = try Scratch()
        for name in ["data", "held", "masks"] {
            try FileManager.default.createDirectory(atPath: scratch[name], withIntermediateDirectories: false)
        }
        // The right half of each image; the same in one file for all.
        let right = Image(
            width: 64, height: 64, pixels: (0..<64 * 64 * 3).map { $0 / 3 % 64 < 32 ? 0 : 255 })
        try right.write(to: scratch["mask.png"])
        for (folder, count, seed) in [("data", 6, 0), ("held", 4, 100)] {
            for (number, sample) in TinyWorld.images(count, seed: seed).enumerated() {
                let name = "\(folder)\(number)"
                try sample.image.write(to: scratch["\(folder)/\(name).png"])
                try scratch.write(sample.caption, to: "\(folder)/\(name).txt")
                try right.write(to: scratch[kind == "folder" ? "masks/\(name).png" : "\(folder)/\(name).mask.png"])
            }
        }
        // One without a mask is left out.
        try right.write(to: scratch["data/bare.png"])
        try scratch.write("a dog", to: "data/bare.txt")
        func train(_ name: String, _ keys: [String: String]) throws -> (Command.Outcome, SafetensorsFile) {
            let all = [
                "experiment_id": name, "controlnet_filter": "InpaintFilter", "controlnet_blocks": "[0, 2, 5]",
                "controlnet_bottleneck_mode": "simple", "webdataset_path": scratch["data"], "dropout": "0",
                "validation_path": scratch["held"], "validation_triples": "4", "preview_steps": "1",
            ]
            let path = try configuration(scratch, all.merging(keys) { $1 })
            let outcome = try Command.run(["controlnet", path])
            #expect(outcome.exited && outcome.status == 0, "\(outcome)")
            return (outcome, try SafetensorsFile(scratch["checkpoints/\(name)/controlnet.safetensors"]))
        }
        let masks = kind == "folder" ? scratch["masks"] : "mask.png"
        let (outcome, each) = try train("each", ["masks": masks])
        #expect(outcome.errors.contains("the masks are those of \(masks)"), "\(outcome)")
        #expect(outcome.errors.contains("no mask"), "\(outcome)")

        // White where it is cut out, in the row of conditions: below the images, each row 16 + 64 + 2 pixels high.
        let preview = try Image(contentsOf: scratch["output/each/000003.jpg"])
        func brightness(_ x: Int, _ y: Int) -> Int { Int(preview.pixels[(y * preview.width + x) * 3 + 1]) }
        for column in 0..<4 {
            for y in stride(from: 82 + 16 + 8, to: 82 + 16 + 56, by: 8) {
                #expect(brightness(66 * column + 48, y) > 240)
                #expect(abs(brightness(66 * column + 16, y) - brightness(66 * column + 16, y - 82)) < 24)
            }
        }

        // The same as one mask for all gives, over the same samples.
        try FileManager.default.removeItem(atPath: scratch["data/bare.png"])
        try FileManager.default.removeItem(atPath: scratch["data/bare.txt"])
        let (_, apart) = try train("apart", ["masks": masks])
        let (_, one) = try train("one", ["controlnet_filter_params": "{mask: '\(scratch["mask.png"])'}"])
        for entry in one.entries {
            #expect(
                try apart.tensor(entry.name)?.values(as: Float.self) == one.tensor(entry.name)?.values(as: Float.self))
        }
        #expect(each.entries.count == one.entries.count)
    }

    @Test func `masks where nothing takes them are refused`() throws {
        let scratch = try Scratch()
        for (recipe, keys) in [("lora", TinyWorld.lora), ("controlnet", TinyWorld.controlNet), ("finetune", [:])] {
            let path = try configuration(scratch, keys.merging(["masks": "mask.png"]) { $1 })
            try expectRefusal([recipe, path], saying: "`masks`", "run.yaml:\(try line(of: "masks", in: path))")
            try expectRefusal([recipe, path, "--set", "masks=nowhere/masks"], saying: "nowhere/masks")
        }
    }

    @Test(arguments: ["finetune", "lora", "controlnet"])
    func `a dry run prints the plan and writes nothing`(recipe: String) throws {
        let scratch = try Scratch()
        let keys = ["lora": TinyWorld.lora, "controlnet": TinyWorld.controlNet][recipe] ?? [:]
        let path = try configuration(scratch, keys)
        let outcome = try Command.run([recipe, path, "--dry-run"])
        #expect(outcome.exited && outcome.status == 0 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.contains("trainable parameters"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["run.yaml"])
    }

    @Test func `a configuration of another recipe is pointed to its command`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.lora)
        try expectRefusal(
            ["finetune", path], saying: "unknown key", "this configuration is one for `cascade-adapt lora`")
    }

    @Test(arguments: [
        ("lora", "ranks", "4", "\"rank\""), ("lora", "lr", "fast", "fast"), ("lora", "batch_size", "2.5", "2.5"),
        ("lora", "module_filters", "[.attm]", "down_blocks.0."),
        ("lora", "generator_checkpoint_path", "/nowhere/base.safetensors", "/nowhere/base.safetensors"),
        ("controlnet", "controlnet_blocks", "[0, 6]", "0 to 5"),
        ("controlnet", "controlnet_filter", "CanyFilter", "CannyFilter"),
    ])
    func `a configuration's fault is told in a line with its place`(
        recipe: String, key: String, value: String, says: String
    ) throws {
        let scratch = try Scratch()
        let keys = recipe == "lora" ? TinyWorld.lora : TinyWorld.controlNet
        let path = try configuration(scratch, keys.merging([key: value]) { $1 })
        let line = try line(of: key, in: path)
        try expectRefusal([recipe, path], saying: "error: \(path):\(line):", says)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["run.yaml"])
    }

    @Test func `faults outside of the configuration's lines are told too`() throws {
        let (scratch, world) = (try Scratch(), try TinyWorld.shared())
        let path = try configuration(scratch, TinyWorld.lora)
        try expectRefusal(
            ["lora", path, "--set", "generator_checkpoint_path=\(world.effnet)"],
            saying: "there is no Stage C in the weights, got EffNet encoder")
        try expectRefusal(["lora", path, "--set", "ranks=3"], saying: "\"rank\"")
        try expectRefusal(["lora", path, "--set", "updates"], saying: "updates")
        try expectRefusal(["lora", path, "--steps", "0"], saying: "--steps")
        try expectRefusal(["lora", path, "--device", "abacus"], saying: "abacus")
        try expectRefusal(["lora", scratch["none.yaml"]], saying: "none.yaml")
        try expectRefusal(["lora", scratch.write("lr: [1", to: "torn.yaml")], saying: "torn.yaml:")
        try expectRefusal(["lora"], saying: "configuration")
    }

    @Test(arguments: ["checkpoint_path", "output_path"])
    func `a folder that cannot be made is named`(key: String) throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.lora)
        let outcome = try Command.run(["lora", path, "--set", "\(key)=\(path)/below"])
        #expect(outcome.exited && (1...2).contains(outcome.status), "\(outcome)")
        #expect(outcome.output.isEmpty)
        #expect(outcome.errors.contains("error: ") && outcome.errors.contains("\(path)/below"), "\(outcome)")
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2])
    func `a signal saves the run, and the same command goes on`(signal: Int32) throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.lora.merging(["updates": "500"]) { $1 })
        let metrics = scratch["output/run/metrics.jsonl"]
        let outcome = try Command.run(["lora", path]) { process in
            // The metrics say that the loop runs and has its handler.
            while process.isRunning, (try? Data(contentsOf: URL(fileURLWithPath: metrics)))?.isEmpty ?? true {
                usleep(5000)
            }
            kill(process.processIdentifier, signal)
        }
        #expect(outcome.exited && outcome.status == 130, "\(outcome)")
        #expect(outcome.output.isEmpty && outcome.errors.contains("the same command goes on from there"))
        let file = scratch["checkpoints/run/lora.safetensors"]
        let updates = try #require(SafetensorsFile(file).metadata["trained_steps"].flatMap(Int.init))
        #expect(updates >= 1)
        let resumed = try Command.run(["lora", path, "--steps", "\(updates + 1)"])
        #expect(resumed.exited && resumed.status == 0, "\(resumed)")
        #expect(resumed.errors.contains("resumed at update \(updates)"))
        #expect(try SafetensorsFile(file).metadata["trained_steps"] == "\(updates + 1)")
    }

    @Test func `a signal while there is nothing to save ends the process at once`() throws {
        let scratch = try Scratch()
        let data = try TinyWorld.shared().data
        let pipe = "'pipe:touch \(scratch["begun"]); sleep 2; cat \(data)'"
        let path = try configuration(
            scratch, TinyWorld.lora.merging(["webdataset_path": pipe, "preview_steps": "2"]) { $1 })
        let outcome = try Command.run(["lora", path]) { process in
            while process.isRunning, !FileManager.default.fileExists(atPath: scratch["begun"]) { usleep(5000) }
            kill(process.processIdentifier, SIGUSR1)
        }
        #expect(outcome.exited && outcome.status == 130, "\(outcome)")
        #expect(outcome.errors.contains("stopped before training began"), "\(outcome)")
    }

    @Test func `a run killed three times ends as the one that was not`() throws {
        let (whole, killed) = (try Scratch(), try Scratch())
        let changes = TinyWorld.lora.merging(
            ["updates": "60", "save_every": "3", "preview_steps": "0", "adaptive_loss_weight": "true"]) { $1 }
        let done = try Command.run(["lora", configuration(whole, changes)])
        #expect(done.exited && done.status == 0, "\(done)")
        let path = try configuration(killed, changes)
        let metrics = killed["output/run/metrics.jsonl"]
        func lines() -> Int {
            (try? Data(contentsOf: URL(fileURLWithPath: metrics)))?.count { $0 == UInt8(ascii: "\n") } ?? 0
        }
        for update in [4, 21, 43] {
            let outcome = try Command.run(["lora", path]) { process in
                while process.isRunning, lines() < update { usleep(200) }
                kill(process.processIdentifier, SIGKILL)
            }
            #expect(!outcome.exited && outcome.status == SIGKILL, "\(outcome)")
        }
        let last = try Command.run(["lora", path])
        #expect(last.exited && last.status == 0 && last.errors.contains("resumed at update"), "\(last)")
        for file in ["lora.safetensors", "lora_optim.safetensors", "info.json"] {
            func bytes(_ scratch: Scratch) throws -> Data {
                try Data(contentsOf: URL(fileURLWithPath: scratch["checkpoints/run/\(file)"]))
            }
            #expect(try bytes(killed) == bytes(whole), "\(file)")
        }
        #expect(lines() == 60)
    }
}
