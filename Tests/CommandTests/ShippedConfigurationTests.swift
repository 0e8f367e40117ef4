import CascadeAdapt
import Foundation
import JSON
import Settings
import TestSupport
import Testing
import Training
import Weights

/// The files of `configs/training`, with small networks in place of the published ones.
@Suite struct ShippedConfigurationTests {
    private static let folder =
        String(#filePath.dropLast("Tests/CommandTests/ShippedConfigurationTests.swift".count))
        + "configs/training"

    private static let names: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted().map {
            String($0.dropLast(".yaml".count))
        }

    /// Those of sizes that a test cannot train; the tiny ones are trained by `make demo`.
    private static var large: [String] { names.filter { !$0.contains("_tiny") } }

    private static func path(_ name: String) -> String { "\(folder)/\(name).yaml" }

    /// What puts small networks and data in the place of the published ones.
    private func small(_ name: String, _ scratch: Scratch) throws -> [String] {
        let (world, deep, stageB) = (try TinyWorld.shared(), try TinyDeep.shared(), try TinyStageB.shared())
        let setting = try Setting.read(Self.path(name))
        var changes = [
            "checkpoint_path": scratch["runs"], "output_path": scratch["output"], "webdataset_path": deep.data,
            "effnet_checkpoint_path": world.effnet, "clip_text_model_name": world.text, "image_size": "96",
            "batch_size": "4", "shuffle_buffer": "8", "data_workers": "1",
            "validation_path": deep.data, "validation_triples": "2",
        ]
        if setting["stage_a_checkpoint_path"] != nil {
            changes.merge(stageB.keys.filter { !$0.value.isEmpty }) { $1 }
        } else {
            changes["model_version"] = deep.architecture
            changes["clip_image_model_name"] = "null"
            changes["generator_checkpoint_path"] = deep.base
            changes["previewer_checkpoint_path"] = world.folder["previewer.safetensors"]
        }
        switch setting["controlnet_filter"]?.text {
        case "SREffnetFilter": changes["controlnet_filter_params.effnet_checkpoint_path"] = world.effnet
        case "IdentityFilter":
            changes["controlnet_filter_params.detector"] = Golden.file("faces.onnx")
            changes["controlnet_filter_params.recognizer"] = Golden.file("identities.onnx")
        case "PoseFilter":
            changes["controlnet_filter_params.weights"] = Golden.file("pose_corners.caffemodel")
            changes["controlnet_filter_params.description"] = Golden.file("pose_corners.prototxt")
        default: break
        }
        return changes.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
    }

    /// The recipe that a configuration's first line names.
    private func recipe(_ name: String) throws -> String {
        let text = try String(contentsOfFile: Self.path(name), encoding: .utf8)
        let words = text.prefix { $0 != "\n" }.split(separator: " ")
        #expect(words.count == 4 && words[0] == "#" && words[1] == "cascade-adapt")
        #expect(words.last ?? "" == "configs/training/\(name).yaml")
        return String(words.count > 2 ? words[2] : "")
    }

    /// Keys of ours by which a run of the published size fits into 24 GB.
    private static let ownKeys: Set = [
        "gradient_checkpointing", "dtype", "optimizer", "weights_dtype", "fused_backward",
    ]

    @Test func `each holds the reference's keys with its values, but for those by which it fits into 24 GB`() throws {
        let golden = try JSON.read(Golden.file("reference_configs.json"))
        let files = try #require(golden.objectValue)
        #expect(files.count == 11)
        for (name, expected) in files {
            let ours = try Setting.read(Self.path(name)).json
            let keys = try #require(expected.objectValue)
            let named = Set(try #require(ours.objectValue).map(\.key))
            #expect(named.subtracting(Self.ownKeys) == Set(keys.map(\.key)), "\(name)")
            let isFused = ours["fused_backward"]?.boolValue == true
            for (key, value) in keys where value != .null {
                let isPart = key == "grad_accum_steps" && ours[key]?.stringValue == "auto"
                // What is stepped within the backward pass is taken in one part.
                let isSmaller = key == "batch_size" && isFused
                #expect(ours[key] == value || isPart || isSmaller, "\(name): \(key)")
            }
        }
    }

    /// A machine of 24 GB has about so much free. Weights are not here, so that their files count as read.
    @Test(arguments: large)
    func `each begins on 24 GB, and its plan says so`(name: String) throws {
        let data = try TinyWorld.shared().data
        var setting = try Setting.read(Self.path(name)).overridden(by: "webdataset_path=\(data)")
        switch setting["controlnet_filter"]?.text {
        case "IdentityFilter":
            setting = try setting.overridden(by: "controlnet_filter_params.detector=\(Golden.file("faces.onnx"))")
                .overridden(by: "controlnet_filter_params.recognizer=\(Golden.file("identities.onnx"))")
        case "PoseFilter":
            setting =
                try setting
                .overridden(by: "controlnet_filter_params.weights=\(Golden.file("pose_corners.caffemodel"))")
                .overridden(by: "controlnet_filter_params.description=\(Golden.file("pose_corners.prototxt"))")
        case "SREffnetFilter":
            let effnet = try TinyWorld.shared().effnet
            setting = try setting.overridden(by: "controlnet_filter_params.effnet_checkpoint_path=\(effnet)")
        default: break
        }
        var options = RunOptions()
        options.freeMemory = { _ in 22_000_000_000 }
        let plugIns = CascadeAdapt.plugIns
        let plan = try Recipes.recipe(for: setting, plugIns).init(setting, plugIns).plan(options)
        #expect(plan.lines.contains("fits into the memory that is free"), "\(plan.lines)")
        #expect(plan.lines.contains { $0.hasPrefix("gradient_checkpointing: auto is ") }, "\(plan.lines)")
    }

    @Test(arguments: large)
    func `a dry run accepts each`(name: String) throws {
        let scratch = try Scratch()
        let outcome = try Command.run([try recipe(name), Self.path(name), "--dry-run"] + small(name, scratch))
        #expect(outcome.exited && outcome.status == 0 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.contains("12 of 12 samples") && !outcome.errors.contains("missing"), "\(outcome)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).isEmpty)
    }

    /// One of each kind; Tests/Peers/checks/train_configs.py trains them all, with the trunks that are too large here.
    @Test(arguments: [
        ("finetune_c_3b_v", "generator"), ("finetune_b_700m", "generator"), ("finetune_c_3b_lora", "lora"),
        ("controlnet_c_3b_inpainting", "controlnet"), ("controlnet_c_3b_pose", "controlnet"),
    ])
    func `three updates are trained, saved, resumed and shown`(name: String, file: String) throws {
        let scratch = try Scratch()
        var arguments = [try recipe(name), Self.path(name)] + (try small(name, scratch))
        arguments += ["--set", "updates=3", "--set", "save_every=2"]
        if file == "controlnet" { arguments += ["--set", "controlnet_bottleneck_mode=simple"] }
        let first = try Command.run(arguments + ["--steps", "2"])
        #expect(first.exited && first.status == 0, "\(first)")
        let second = try Command.run(arguments)
        #expect(second.exited && second.status == 0 && second.errors.contains("resumed at update 2"), "\(second)")
        let run = try #require(Setting.read(Self.path(name))["experiment_id"]?.text)
        let written = try SafetensorsFile(scratch["runs/\(run)/\(file).safetensors"])
        #expect(written.metadata["trained_steps"] == "3")
        for preview in ["000002.jpg", "000003.jpg"] {
            #expect(FileManager.default.fileExists(atPath: scratch["output/\(run)/\(preview)"]))
        }
    }
}
