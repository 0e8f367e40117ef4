import Cascade
import Failures
import Foundation
import Layers
import TestSupport
import Testing
import Torch
import Weights

/// Every layout, against official tensors that the peers' own converters and names give (`Tests/Goldens/write_layouts.py`).
@Suite struct LayoutTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Goldens/layouts").path

    private func checkpoint(_ name: String) throws -> Checkpoint { try Checkpoint("\(Self.folder)/\(name)") }

    /// Compares a part with the official tensors under `name/`, key by key and value by value.
    private func compare(_ tensors: any NamedTensors, to name: String) throws {
        let expected = try SafetensorsFile("\(Self.folder)/expected.safetensors")
        let keys = expected.entries.map(\.name).filter { $0.hasPrefix(name + "/") }
        #expect(!keys.isEmpty)
        #expect(Set(tensors.entries.map(\.name)) == Set(keys.map { String($0.dropFirst(name.count + 1)) }))
        for key in keys {
            let (official, wanted) = (String(key.dropFirst(name.count + 1)), try expected.required(key))
            let read = try tensors.required(official)
            #expect(read.shape == wanted.shape && read.dtype == wanted.dtype, "\(official)")
            #expect(tensors[official]?.shape == wanted.shape && tensors[official]?.dtype == wanted.dtype, "\(official)")
            #expect(try read.values(as: Double.self) == wanted.values(), "\(official)")
        }
    }

    @Test(arguments: [
        ("stage_c_diffusers", ModelPart.stageC, Layout.diffusers), ("stage_b_diffusers", .stageB, .diffusers),
        ("vqgan_diffusers", .stageA, .diffusers), ("text_transformers", .clipText, .transformers),
        ("comfyui_b.safetensors", .stageB, .comfyUI),
    ]) func `a file of one part has its official tensors`(_ name: String, _ part: ModelPart, _ layout: Layout) throws {
        let checkpoint = try checkpoint(name)
        #expect(checkpoint.parts == [part] && checkpoint.layout == layout)
        try compare(checkpoint.tensors(of: part), to: name)
    }

    @Test func `ComfyUI's single file has each of its parts`() throws {
        let checkpoint = try checkpoint("comfyui_c.safetensors")
        #expect(checkpoint.layout == .comfyUI)
        #expect(checkpoint.parts == [.stageC, .effnet, .previewer, .clipText, .clipVision])
        for part in checkpoint.parts {
            try compare(checkpoint.tensors(of: part), to: "comfyui_c.safetensors/\(part.rawValue)")
        }
        #expect(checkpoint.place(of: "text_encoder.clip_g.logit_scale") == nil)
        #expect(
            checkpoint.place(of: "text_encoder.clip_g.text_projection")
                == TensorPlace(part: .clipText, key: "text_projection.weight", isTransposed: true))
        let failure = try #require(throws: Failure.self) { _ = try checkpoint.tensors(of: .stageB) }
        #expect(failure.blame == .input && "\(failure)".contains("Stage C, EffNet encoder"), "\(failure)")
    }

    @Test func `a whole CLIP in a torch file has both towers`() throws {
        let checkpoint = try checkpoint("clip.bin")
        #expect(checkpoint.parts == [.clipText, .clipVision] && checkpoint.layout == .transformers)
        try compare(checkpoint.tensors(of: .clipText), to: "clip.bin/text")
        try compare(checkpoint.tensors(of: .clipVision), to: "clip.bin/picture")
        #expect(checkpoint.place(of: "text_model.embeddings.position_ids") == nil)
    }

    /// What `merge` stands on: writing every stored tensor into its place and reading it back gives the file again.
    @Test(arguments: [
        "stage_c_diffusers", "stage_b_diffusers", "vqgan_diffusers", "text_transformers", "comfyui_c.safetensors",
        "comfyui_b.safetensors", "clip.bin",
    ]) func `each tensor of a file is found again at its place`(_ name: String) throws {
        let checkpoint = try checkpoint(name)
        var covered: [String: Int] = [:]
        for entry in checkpoint.file.entries {
            guard let place = checkpoint.place(of: entry.name) else { continue }
            var official = try checkpoint.tensors(of: place.part).required(place.key)
            if let rows = place.rows { official = try official.sliced(0, rows) }
            if place.isTransposed { official = try official.transposed(0, 1) }
            let stored = try checkpoint.file.required(entry.name)
            #expect(official.shape == stored.shape, "\(entry.name)")
            #expect(try official.values(as: Double.self) == stored.values(), "\(entry.name)")
            covered["\(place.part) \(place.key)", default: 0] += stored.count
        }
        for part in checkpoint.parts {
            for entry in try checkpoint.tensors(of: part).entries {
                #expect(covered["\(part) \(entry.name)"] == entry.count, "\(entry.name)")
            }
        }
    }

    @Test(
        arguments: [
            (["a.b.clip_txt_mapper.weight": [1536, 4]], ModelPart.stageC, Layout.reference, "1B"),
            (["clip_txt_mapper.weight": [2048, 4]], .stageC, .reference, "3.6B"),
            (
                ["clip_mapper.weight": [4, 4], "down_blocks.1.0.channelwise.0.weight": [8, 640]], .stageB, .reference,
                "3B"
            ),
            (
                [
                    "model.diffusion_model.clip_mapper.weight": [4, 4],
                    "model.diffusion_model.down_blocks.1.0.channelwise.0.weight": [8, 576],
                ], .stageB, .comfyUI, "700M"
            ),
            (["state_dict.backbone.0.0.weight": [1], "state_dict.mapper.0.weight": [1]], .effnet, .reference, nil),
            (["features.0.0.weight": [1], "classifier.1.weight": [1]], .effnet, .torchvision, nil),
            (["blocks.0.weight": [1], "blocks.24.weight": [1]], .previewer, .reference, nil),
            (["projections.0.0.weight": [1], "backbone.3.blocks.0.weight": [1]], .controlNet, .reference, nil),
            (["vision_model.post_layernorm.weight": [1]], .clipVision, .transformers, nil),
            (["final_layer_norm.weight": [1]], .clipText, .transformers, nil),
        ] as [([String: [Int]], ModelPart, Layout, String?)]) func `parts, layouts and sizes are told by keys`(
            _ keys: [String: [Int]], _ part: ModelPart, _ layout: Layout, _ size: String?
        ) throws
    {
        let checkpoint = Checkpoint(Listed(keys))
        #expect(checkpoint.parts == [part] && checkpoint.layout == layout && checkpoint.size(of: part) == size)
    }

    @Test func `wrappers and prefixes fall away, a bare tower gets its name`() throws {
        let wrapped = Checkpoint(Listed(["state_dict.module.clip_txt_mapper.weight": [1], "epoch.0": [1]]))
        #expect(
            wrapped.place(of: "state_dict.module.clip_txt_mapper.weight")
                == TensorPlace(part: .stageC, key: "clip_txt_mapper.weight"))
        #expect(wrapped.place(of: "epoch.0") == nil)
        let bare = Checkpoint(Listed(["final_layer_norm.weight": [1], "encoder.layers.0.mlp.fc1.bias": [1]]))
        #expect(bare.place(of: "encoder.layers.0.mlp.fc1.bias")?.key == "text_model.encoder.layers.0.mlp.fc1.bias")
    }

    @Test func `what does not fit is listed by the names of the file`() throws {
        let q = "down_blocks.0.2.attention.to_"
        let keys = [
            "clip_txt_mapper.weight": [4, 4], "\(q)q.weight": [2, 2], "\(q)k.weight": [2, 2],
            "\(q)out.0.bias": [3], "left.over": [1],
        ]
        let tensors = try Checkpoint(Listed(keys)).tensors(of: .stageC)
        let source = StoredParameters(tensors)
        _ = try source.value("down_blocks.0.2.attention.attn.in_proj_weight", shape: [6, 2], initial: .zeros)
        _ = try source.value("down_blocks.0.2.attention.attn.out_proj.bias", shape: [2], initial: .zeros)
        _ = try source.value("down_blocks.0.2.attention.attn.out_proj.weight", shape: [2, 2], initial: .zeros)
        let failure = try #require(throws: Failure.self) { try source.finish() }
        for part in [
            "2 missing (\(q){q,k,v}.weight, \(q)out.0.weight)", "2 unexpected", "left.over",
            "1 of another shape (\(q)out.0.bias [3] where [2] belongs)",
        ] {
            #expect("\(failure)".contains(part), "\(failure)")
        }
    }

    @Test func `one thing said twice and parts that do not fit are refused`() throws {
        let q = "down_blocks.0.2.attention."
        for keys in [
            ["\(q)to_q.weight": [2, 2], "\(q)to_k.weight": [2, 3], "\(q)to_v.weight": [2, 2]],
            ["\(q)to_q.weight": [2, 2], "\(q)attn.in_proj_weight": [6, 2]],
            ["\(q)to_q.weight": [2, 2], "\(q)attn.to_q.weight": [2, 2]],
        ] {
            let checkpoint = Checkpoint(Listed(keys.merging(["clip_txt_mapper.weight": [1]]) { a, _ in a }))
            let failure = try #require(throws: Failure.self) { _ = try checkpoint.tensors(of: .stageC) }
            #expect(failure.blame == .input)
        }
    }
}

/// Zeros under the names and shapes given.
private final class Listed: NamedTensors {
    let path = "listed"
    let entries: [TensorEntry]
    let metadata: [String: String] = [:]

    init(_ shapes: [String: [Int]]) {
        entries = shapes.sorted { $0.key < $1.key }.map { TensorEntry(name: $0.key, dtype: .float32, shape: $0.value) }
    }

    subscript(name: String) -> TensorEntry? { entries.first { $0.name == name } }
    func tensor(_ name: String) throws -> Tensor? { try self[name].map { try .zeros($0.shape) } }
}
