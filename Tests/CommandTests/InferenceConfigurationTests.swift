import CascadeAdapt
import Foundation
import Generation
import JSON
import Settings
import TestSupport
import Testing
import Torch
import Weights

/// The files of `configs/inference`, with small networks in place of the published ones.
@Suite struct InferenceConfigurationTests {
    private static let folder =
        String(#filePath.dropLast("Tests/CommandTests/InferenceConfigurationTests.swift".count)) + "configs/inference"

    private static let names: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
        .map { String($0.dropLast(".yaml".count)) }

    private static func path(_ name: String) -> String { "\(folder)/\(name).yaml" }

    @Test func `each of the reference's holds its keys with its values`() throws {
        let golden = try JSON.read(Golden.file("reference_inference.json"))
        let files = try #require(golden.objectValue)
        #expect(files.count == 7)
        for (name, expected) in files {
            let ours = try Setting.read(Self.path(name)).json
            let keys = try #require(expected.objectValue)
            #expect(Set(try #require(ours.objectValue).map(\.key)) == Set(keys.map(\.key)), "\(name)")
            for (key, value) in keys where value != .null { #expect(ours[key] == value, "\(name): \(key)") }
        }
    }

    @Test func `every key that is read stands in one of them, and no other`() throws {
        var (named, known): (Set<String>, Set<String>) = ([], [])
        for name in Self.names {
            let text = try String(contentsOfFile: Self.path(name), encoding: .utf8)
            for line in text.split(separator: "\n") {
                guard let match = line.wholeMatch(of: /[# -]*([a-z][a-z0-9_]*):.*/) else { continue }
                named.insert(String(match.1))
            }
            let setting = try Setting.read(Self.path(name))
            var fields = try setting.fields()
            _ = try InferenceFile(&fields, CascadeAdapt.plugIns)
            known.formUnion(fields.known)
        }
        #expect(known.count > 25)
        #expect(known.subtracting(named).sorted() == [])
    }

    @Test(arguments: names)
    func `each runs with small networks`(name: String) throws {
        let scratch = try GenerationFolder()
        let (world, deep, stageB) = (try TinyWorld.shared(), try TinyDeep.shared(), try TinyStageB.shared())
        let setting = try Setting.read(Self.path(name))
        let command = try String(contentsOfFile: Self.path(name), encoding: .utf8).prefix { $0 != "\n" }
        let photo = try scratch.image("photo.png")
        var changes = ["effnet_checkpoint_path": world.effnet]
        let isStageB = setting["stage_a_checkpoint_path"] != nil
        if isStageB {
            changes.merge(stageB.keys.filter { !$0.value.isEmpty }) { $1 }
            changes["clip_text_model_name"] = world.text
            #expect(command == "# cascade-adapt reconstruct configs/inference/\(name).yaml photo.png -o out")
            try expectSuccess(
                ["reconstruct", Self.path(name), photo, "-o", scratch["out"], "--steps", "2", "--quiet"] + set(changes))
            return
        }
        #expect(command.hasPrefix("# cascade-adapt generate configs/inference/\(name).yaml --prompt "))
        changes["model_version"] = deep.architecture
        changes["generator_checkpoint_path"] = deep.base
        changes["previewer_checkpoint_path"] = world.folder["previewer.safetensors"]
        changes["clip_text_model_name"] = world.text
        if setting["stage_b"] != nil { changes["stage_b"] = "null" }
        if setting["lora_checkpoint_path"] != nil || setting["loras"] != nil {
            let path = try lora(scratch, deep.base)
            if setting["loras"] == nil { changes["lora_checkpoint_path"] = path }
            for index in (setting["loras"]?.elements ?? []).indices { changes["loras.\(index).path"] = path }
        }
        var arguments = ["--image", photo]
        if let filter = setting["controlnet_filter"]?.text ?? (name.contains("pose") ? "PoseFilter" : nil) {
            changes["controlnet_checkpoint_path"] = try controlNet(scratch, filter)
            switch filter {
            case "SREffnetFilter": changes["controlnet_filter_params.effnet_checkpoint_path"] = world.effnet
            case "IdentityFilter":
                changes["controlnet_filter_params.detector"] = Golden.file("faces.onnx")
                changes["controlnet_filter_params.recognizer"] = Golden.file("identities.onnx")
            default: break
            }
        } else if setting["controlnet_checkpoint_path"] != nil {
            changes["controlnet_checkpoint_path"] = try controlNet(scratch, "CannyFilter")
        } else if setting["controlnets"] != nil {
            changes["controlnets.0.path"] = try controlNet(scratch, "CannyFilter")
            changes["controlnets.1.path"] = try controlNet(scratch, "InpaintFilter")
            changes["controlnets.1.mask"] = photo
        } else {
            arguments = []
        }
        try expectSuccess(
            [
                "generate", Self.path(name), "--prompt", "a dog", "--size", "64", "--steps", "1", "--decoder",
                "previewer",
                "--quiet", "-o", scratch["a.png"],
            ] + arguments + set(changes))
        #expect(FileManager.default.fileExists(atPath: scratch["a.png"]))
    }

    @Test func `an empty path of a ControlNet is named`() throws {
        let scratch = try GenerationFolder()
        try expectRefusal(
            scratch.generate("--prompt", "a", "-o", scratch["a.png"], Self.path("controlnet_c_3b_identity")),
            saying: "`controlnet_checkpoint_path`", "controlnet_c_3b_identity.yaml:")
    }

    @Test func `Stage B's file goes beside Stage C's, and its keys are changed with a prefix`() throws {
        let scratch = try GenerationFolder()
        let (world, stageB) = (try TinyWorld.shared(), try TinyStageB.shared())
        try expectSuccess(
            [
                "generate", Self.path("stage_c_3b"), "--stage-b", Self.path("stage_b_3b"), "--prompt", "a dog",
                "--size",
                "64", "--steps", "1,1", "--quiet", "-o", scratch["a.png"],
            ]
                + set([
                    "model_version": world.folder["tiny.yaml"], "generator_checkpoint_path": world.base,
                    "clip_text_model_name": world.text, "stage_b.model_version": stageB.architecture,
                    "stage_b.generator_checkpoint_path": stageB.base,
                    "stage_b.stage_a_checkpoint_path": stageB.stageA,
                ]))
        #expect(FileManager.default.fileExists(atPath: scratch["a.png"]))
    }

    // MARK: Files

    private func set(_ changes: [String: String]) -> [String] {
        changes.sorted { $0.key < $1.key }.flatMap { ["--set", "\($0.key)=\($0.value)"] }
    }

    private func lora(_ scratch: GenerationFolder, _ base: String) throws -> String {
        let key = try #require(
            SafetensorsFile(base).entries.map(\.name).first { $0.hasSuffix("attention.attn.out_proj.weight") })
        let path = key.dropLast(".weight".count)
        let generator = try Generator(seed: 1)
        try SafetensorsWriter.write(
            [
                ("\(path).lora_down.weight", generator.normal([2, 8])),
                ("\(path).lora_up.weight", generator.normal([8, 2])),
            ],
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "2", "alpha": "2",
            ], to: scratch["lora.safetensors"])
        return scratch["lora.safetensors"]
    }

    /// A ControlNet in the native format that takes a filter's conditions.
    private func controlNet(_ scratch: GenerationFolder, _ filter: String) throws -> String {
        let channels = ["CannyFilter": 1, "InpaintFilter": 4, "SREffnetFilter": 16, "IdentityFilter": 512][filter] ?? 3
        let parameters: JSON =
            filter == "PoseFilter"
            ? [
                "weights": .string(Golden.file("pose_corners.caffemodel")),
                "description": .string(Golden.file("pose_corners.prototxt")),
            ] : .object(.init())
        let generator = try Generator(seed: 4)
        let (wide, path) = (channels * 4, scratch["\(filter).safetensors"])
        try SafetensorsWriter.write(
            [
                ("backbone.0.weight", generator.normal([wide, channels, 3, 3]) * 0.1),
                ("backbone.0.bias", generator.normal([wide])),
                ("backbone.2.weight", generator.normal([channels, wide, 3, 3]) * 0.1),
                ("backbone.2.bias", generator.normal([channels])),
                ("projections.0.0.weight", generator.normal([channels, channels, 1, 1])),
                ("projections.0.2.weight", generator.normal([8, channels, 1, 1])),
            ],
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "controlnet", "c_in": "\(channels)",
                "c_proj": "8", "controlnet_blocks": "[51]", "bottleneck_mode": "simple", "controlnet_filter": filter,
                "controlnet_filter_params": parameters.text(),
            ], to: path)
        return path
    }
}
