import Foundation
import Images
import JSON
import Shards
import TestSupport
import Testing
import Weights

/// `plan`, held against what a run then does.
@Suite struct PlanCommandTests {
    private func configuration(_ scratch: Scratch, _ changes: [String: String]) throws -> String {
        try scratch.write(TinyWorld.shared().configuration(in: scratch, changes), to: "run.yaml")
    }

    private func plan(_ path: String, _ more: String...) throws -> JSON {
        try JSON.parse(try expectSuccess(["plan", path, "--json"] + more), file: "plan")
    }

    @Test(arguments: ["lora", "controlnet", "finetune"])
    func `a run trains as many parameters as its plan says`(recipe: String) throws {
        let scratch = try Scratch()
        let lora = TinyWorld.lora.merging(["text_module_filters": "[mlp]"]) { $1 }
        let keys = ["lora": lora, "controlnet": TinyWorld.controlNet][recipe] ?? [:]
        let path = try configuration(scratch, keys)
        let plan = try plan(path)
        #expect(plan["recipe"]?.stringValue == recipe)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["run.yaml"])
        try #require(Command.run([recipe, path, "--steps", "1"]).status == 0)
        let name = recipe == "finetune" ? "generator" : recipe
        // One of the two moments has exactly the trained tensors.
        let state = try SafetensorsFile(scratch["checkpoints/run/\(name)_optim.safetensors"])
        let trained = state.entries.filter { $0.name.hasPrefix("exp_avg.") }.reduce(0) { $0 + $1.count }
        #expect(trained > 0 && plan["parameters"]?["trainable"]?.intValue == trained)
        let groups = plan["parameters"]?["groups"]?.arrayValue ?? []
        #expect(groups.reduce(0) { $0 + ($1["parameters"]?.intValue ?? 0) } == trained)
        #expect((plan["memory"]?["bytes"]?.intValue ?? 0) > 16 * trained)
    }

    @Test func `a plan for several processes says what each holds and sends`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.lora.merging(["use_fsdp": "true", "batch_size": "8"]) { $1 })
        #expect(try plan(path)["processes"]?.isNull == true)
        let four = try plan(path, "--processes", "4", "--network", "0.1")
        let trained = try #require(four["parameters"]?["trainable"]?.intValue)
        let entries = try SafetensorsFile(TinyWorld.shared().base).entries
        let base = entries.reduce(0) { $0 + $1.byteCount }
        // The first two blocks and the last two are there already where a pass begins and turns back.
        let ends = ["embedding.", "clip_", "down_blocks.0.", "up_blocks.1.", "clf."]
        let there = entries.filter { entry in ends.contains { entry.name.hasPrefix($0) } }.reduce(0) {
            $0 + $1.byteCount
        }
        func bytes(_ parts: JSON?, _ name: String) -> Double {
            Double(parts?.arrayValue?.first { $0["name"]?.stringValue == name }?["bytes"]?.intValue ?? 0)
        }
        // A ring: each sends three quarters of the sum twice. Blocks go round twice, three quarters of each.
        let sent = four["processes"]?["sent"]
        #expect(bytes(sent, "gradients") == 2 * 0.75 * 4 * Double(trained))
        // Each tensor begins at a multiple of 64 bytes.
        #expect((1..<1.2).contains(bytes(sent, "blocks") / (0.75 * Double(2 * base - there))))
        #expect((1..<1.2).contains(bytes(four["memory"]?["parts"], "share of the base") / (Double(base) / 4)))
        let whole = try #require(four["processes"]?["sent_bytes"]?.doubleValue)
        #expect(four["processes"]?["network_seconds"]?.doubleValue == 8 * whole / 1e8)
        let text = try expectSuccess(["plan", path, "--processes", "16"])
        #expect(
            text.contains("of 16 processes each sends ") && text.contains("batch_size has to be at least 16"), "\(text)"
        )
        try expectRefusal(["plan", path, "--processes", "0"], saying: "--processes is out of range")
        try expectRefusal(["plan", path, "--network", "0"], saying: "--network is out of range")
    }

    @Test func `of many shards some are read and the rest told in proportion, unless all are asked for`() throws {
        let (scratch, world) = (try Scratch(), try TinyWorld.shared())
        // Of 40 shards 38 have 12 samples and two have four; one image is smaller than the others.
        let names = (0..<40).map { $0 == 7 || $0 == 20 ? world.folder["held-out.tar"] : world.data }
        let path = try configuration(
            scratch, TinyWorld.lora.merging(["webdataset_path": "[\(names.joined(separator: ", "))]"]) { $1 })
        let some = try plan(path)
        #expect(some["data"]?["sampled"]?.boolValue == true && some["data"]?["shards_read"]?.intValue == 16)
        let samples = try #require(some["data"]?["samples"]?.intValue)
        #expect(samples == 480 || samples == 460 || samples == 440, "\(samples)")
        let all = try plan(path, "--all-data")
        #expect(all["data"]?["sampled"]?.boolValue == false && all["data"]?["shards_read"]?.intValue == 40)
        #expect(all["data"]?["samples"]?.intValue == 38 * 12 + 2 * 4)
        #expect(all["data"]?["shards"]?.intValue == 40 && some["data"]?["shards"]?.intValue == 40)
        let text = try expectSuccess(["plan", path])
        #expect(text.contains("samples in 16 shards were read") && text.contains("--all-data"), "\(text)")
        #expect(try !expectSuccess(["plan", path, "--all-data"]).contains("were read"))
        let dry = try Command.run(["lora", path, "--dry-run", "--all-data"])
        #expect(dry.status == 0 && dry.errors.contains("464 of 464 samples in 40 shards"), "\(dry)")
    }

    @Test(arguments: ["lora", "controlnet", "finetune"])
    func `memory is told by part, and by when it is taken`(recipe: String) throws {
        let scratch = try Scratch()
        let keys = ["lora": TinyWorld.lora, "controlnet": TinyWorld.controlNet][recipe] ?? [:]
        let path = try configuration(scratch, keys)
        let memory = try #require(plan(path)["memory"])
        func bytes(_ key: String) throws -> Int { try #require(memory[key]?.intValue) }
        let parts = try #require(memory["parts"]?.arrayValue)
        func sum(_ phases: String...) -> Int {
            parts.filter { phases.contains($0["from"]?.stringValue ?? "") }
                .reduce(0) { $0 + ($1["bytes"]?.intValue ?? 0) }
        }
        #expect(try bytes("loaded_bytes") == sum("loaded") && bytes("optimizer_bytes") == sum("loaded", "optimizer"))
        #expect(try bytes("bytes") == sum("loaded", "optimizer", "update"))
        let text = try expectSuccess(["plan", path])
        for line in ["  loaded: ", "  with the optimizer: ", "  at the peak of an update: ", "    activations: "] {
            #expect(text.contains("\n" + line), "\(text)")
        }
        #expect(memory["peak"]?.stringValue == "update" && !text.contains("preview is made"))
    }

    @Test func `what previews and validation take is told too, and the most at a time counts`() throws {
        let scratch = try Scratch()
        let size = ["preview_prompts": "[{prompt: a dog, size: [4096, 4096]}]"]
        let keys = TinyWorld.lora.merging(try TinyWorld.shared().heldOut) { $1 }.merging(size) { $1 }
        let path = try configuration(scratch, keys)
        let memory = try #require(plan(path)["memory"])
        let parts = try #require(memory["parts"]?.arrayValue)
        func sum(_ phases: String...) -> Int {
            parts.filter { phases.contains($0["from"]?.stringValue ?? "") }
                .reduce(0) { $0 + ($1["bytes"]?.intValue ?? 0) }
        }
        #expect(memory["peak"]?.stringValue == "preview" && sum("preview") > sum("update"))
        #expect(memory["bytes"]?.intValue == sum("loaded", "optimizer", "preview"))
        let text = try expectSuccess(["plan", path])
        for line in ["  while a preview is made: ", "  while the validation loss is measured: "] {
            #expect(text.contains("\n" + line), "\(text)")
        }
    }

    @Test func `what is decoded at once counts as memory`() throws {
        let scratch = try Scratch()
        try FileManager.default.createDirectory(atPath: scratch["in"], withIntermediateDirectories: false)
        try Image(width: 4000, height: 3000, colour: (9, 9, 9)).write(to: scratch["in/a.png"])
        try scratch.write("a dog", to: "in/a.txt")
        func decoding(_ workers: Int) throws -> Int? {
            let path = try configuration(
                scratch,
                TinyWorld.lora.merging(["webdataset_path": scratch["in"], "data_workers": "\(workers)"]) { $1 })
            let parts = try plan(path)["memory"]?["parts"]?.arrayValue
            return parts?.first { $0["name"]?.stringValue == "decoding" }?["bytes"]?.intValue
        }
        #expect(try decoding(1) == 48_000_000 && decoding(3) == 144_000_000)
        // A PNG is decoded to four bytes a pixel; all workers together have 512 MiB.
        #expect(try decoding(64) == 512 << 20)
    }

    @Test func `a file to start from is planned as what it holds`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.lora)
        let fresh = try plan(path)
        try #require(Command.run(["lora", path, "--steps", "1"]).status == 0)
        let started = try plan(path, "--set", "lora_checkpoint_path=\(scratch["checkpoints/run/lora.safetensors"])")
        #expect(started["parameters"]?["trainable"] == fresh["parameters"]?["trainable"])
        #expect(started["injection_points"] == fresh["injection_points"])
    }

    @Test func `a ControlNet and a LoRA in each other's place are named`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.lora)
        let golden = try Golden("controlnet_simple")
        for metadata in [
            [:], ["format": "cascade-adapt-adapter", "format_version": "1", "kind": "controlnet"],
        ] {
            let controlNet = try scratch.write(golden.part("weights"), metadata: metadata, to: "controlnet.safetensors")
            for command in ["plan", "lora"] {
                try expectRefusal(
                    [command, path, "--set", "lora_checkpoint_path=\(controlNet)"], saying: "got controlnet",
                    controlNet)
            }
        }
        let lora = try scratch.write(Golden("gradients_lora").part("adapter"), to: "lora.safetensors")
        let other = try Scratch()
        try expectRefusal(
            ["plan", configuration(other, TinyWorld.controlNet), "--set", "controlnet_checkpoint_path=\(lora)"],
            saying: "an adapter lies in the place of weights", lora)
    }

    @Test func `injection points are listed, the chosen ones marked`() throws {
        let scratch = try Scratch()
        let points = try #require(plan(configuration(scratch, TinyWorld.controlNet))["injection_points"]?.arrayValue)
        #expect(points.map { $0["index"]?.intValue } == [0, 1, 2, 3, 4, 5])
        #expect(points.filter { $0["selected"]?.boolValue == true }.map { $0["index"]?.intValue } == [0, 2, 5])
        let modules = try #require(plan(configuration(scratch, TinyWorld.lora))["injection_points"]?.arrayValue)
        for module in modules {
            let name = try #require(module["name"]?.stringValue)
            #expect(module["selected"]?.boolValue == name.contains(".attn"), "\(name)")
        }
        let withText = TinyWorld.lora.merging(["text_module_filters": "[mlp]"]) { $1 }
        let further = try #require(plan(configuration(scratch, withText))["injection_points"]?.arrayValue)
        #expect(Array(further.prefix(modules.count)) == modules)
        let text = further.dropFirst(modules.count)
        // The tower's one layer has six, and its projection is another.
        #expect(text.count == 7 && text.allSatisfy { $0["name"]?.stringValue?.hasPrefix("text_") == true })
        #expect(text.count { $0["selected"]?.boolValue == true } == 2)
    }

    @Test func `samples are counted as the loader sees them`() throws {
        let scratch = try Scratch()
        let good = TinyWorld.images(5, seed: 0)
        try TinyWorld.pack(good, to: scratch["good.tar"])
        let tar = scratch["bad.tar"]
        let made = try Command.run(
            [
                "-c",
                """
                printf x > 1.txt; printf junk > 2.jpg; printf x > 2.txt; printf junk > 3.jpg; \
                printf '\\377' > 4.txt; printf junk > 4.jpg; tar cf '\(tar)' 1.txt 2.jpg 2.txt 3.jpg 4.jpg 4.txt
                """,
            ], in: scratch.path, program: "/bin/bash")
        try #require(made.status == 0)
        let path = try configuration(
            scratch, TinyWorld.lora.merging(["webdataset_path": "['\(scratch["good.tar"])', '\(tar)']"]) { $1 })
        let plan = try plan(path)
        let data = try #require(plan["data"])
        #expect(data["samples"]?.intValue == 9 && data["kept"]?.intValue == 5)
        #expect(
            data["dropped"] == [
                "caption is not UTF-8": 1, "no caption": 1, "no image": 1, "image can't be decoded": 1,
            ])
        // 3 updates of 4 samples.
        #expect(plan["epochs"]?.doubleValue == 12.0 / 5)
    }

    @Test func `what is missing is listed with its command, and the rest is told`() throws {
        let scratch = try Scratch()
        let changes = [
            "generator_checkpoint_path": "models/stage_c_lite_bf16.safetensors", "model_version": "1B",
            "effnet_checkpoint_path": "nowhere/effnet_encoder.safetensors", "webdataset_path": "none.tar",
            "clip_text_model_name": "", "clip_image_model_name": "openai/clip-vit-large-patch14",
        ]
        let path = try configuration(scratch, TinyWorld.lora.merging(changes) { $1 })
        let outcome = try Command.run(
            ["plan", path, "--json"], in: scratch.path, environment: ["HF_HOME": scratch["cache"]])
        #expect(outcome.status == 0, "\(outcome)")
        let plan = try JSON.parse(outcome.output, file: "plan")
        #expect(
            plan["missing"]?.arrayValue?.map { $0["command"]?.stringValue } == [
                "cascade-adapt models get stage-c-lite-bf16",
                "cascade-adapt models get effnet -o nowhere/effnet_encoder.safetensors",
                "cascade-adapt models get clip-text", "cascade-adapt models get clip-image", nil,
            ])
        // Stage C 1B has 32 attention blocks of width 1536; rank 2 on four projections each, and one new token.
        let lora = 32 * 4 * 2 * (1536 + 1536)
        #expect(plan["parameters"]?["groups"]?[0]?["parameters"]?.intValue == lora)
        #expect(plan["parameters"]?["groups"]?[1]?["parameters"]?.intValue == 1280)
        #expect(plan["data"]?["samples"]?.intValue == 0)

        let world = try TinyWorld.shared()
        try expectRefusal(
            ["lora", path, "--set", "webdataset_path=\(world.data)"], saying: "models get stage-c-lite-bf16",
            in: scratch.path)
        let text = ["lora", path, "--set", "generator_checkpoint_path=\(world.base)"]
        try expectRefusal(
            text + [
                "--set", "model_version=\(world.folder["tiny.yaml"])", "--set",
                "effnet_checkpoint_path=\(world.effnet)", "--set", "webdataset_path=\(world.data)",
            ], saying: "models get clip-text", in: scratch.path)
    }

    @Test func `a dry run prints the plan once everything is checked`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, TinyWorld.controlNet)
        let said = try Command.run(["controlnet", path, "--dry-run"])
        let planned = try expectSuccess(["plan", path])
        #expect(said.status == 0 && said.errors == planned, "\(said)")
        try expectRefusal(
            ["controlnet", path, "--dry-run", "--set", "previewer_checkpoint_path=models/previewer.safetensors"],
            saying: "models get previewer", in: scratch.path)
        try expectRefusal(["plan", path, "--set", "ranks=3"], saying: "\"rank")
        try expectSuccess(["plan", path, "--set", "target=v", "--set", "offset_noise=0.1"])
        try expectRefusal(["plan", path, "--set", "target=w"], saying: "target")
    }
}
