import Foundation
import JSON
import TestSupport
import Testing
import Torch
import Weights

@Suite struct AlgebraCommandTests {
    /// A LoRA of rank 1 for the tiny world's first query, in the native format.
    private func lora(_ folder: Scratch) throws -> String {
        let module = "down_blocks.0.2.attention.attn.to_q"
        let ramp = (0..<16).map { Float($0 - 8) / 8 }
        return try folder.write(
            [
                "\(module).lora_down.weight": .init(ramp, [1, 16]), "\(module).lora_up.weight": .init(ramp, [16, 1]),
            ],
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "1", "alpha": "1",
                "base_licence": "that of the base",
            ], to: "lora.safetensors")
    }

    @Test func `what is merged is extracted again`() throws {
        let base = try TinyWorld.shared().base
        let folder = try Scratch()
        let (lora, tuned, back) = (try lora(folder), folder["tuned.safetensors"], folder["back.safetensors"])
        let merged = try JSON.parse(expectSuccess(["merge", base, lora, "-o", tuned, "--json"]), file: "stdout")
        #expect(merged["changed"]?.intValue == 1)
        let report = try JSON.parse(
            expectSuccess(["extract", base, tuned, "--rank", "1", "-o", back, "--json"]), file: "stdout")
        #expect(report["modules"]?.arrayValue?.count == 1)
        #expect(try #require(report["energy"]?.doubleValue) > 0.999999)
        func product(_ path: String) throws -> [Float] {
            let file = try SafetensorsFile(path)
            let module = "down_blocks.0.2.attention.attn.to_q"
            return try file.required("\(module).lora_up.weight").matmul(file.required("\(module).lora_down.weight"))
                .values()
        }
        #expect(try zip(product(back), product(lora)).allSatisfy { abs($0 - $1) < 1e-5 })
        try expectSuccess(["resize", back, "--rank", "1", "-o", back, "--overwrite"])
    }

    @Test func `an output that is an input is refused, and replaced whole where that is asked for`() throws {
        let folder = try Scratch()
        let (lora, base) = (try lora(folder), folder["base.safetensors"])
        try FileManager.default.copyItem(atPath: TinyWorld.shared().base, toPath: base)
        try FileManager.default.createSymbolicLink(atPath: folder["link"], withDestinationPath: base)
        try FileManager.default.linkItem(atPath: lora, toPath: folder["hard"])
        func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }
        let (before, adapter) = (try bytes(base), try bytes(lora))
        let tuned = try TinyWorld.shared().base
        for arguments in [
            ["merge", base, lora, "-o", base], ["merge", base, lora, "-o", folder["link"]],
            ["merge", base, lora, "-o", lora], ["merge", base, lora, "-o", folder["hard"]],
            ["merge", "--adapters-only", lora, "-o", lora], ["extract", base, tuned, "--rank", "2", "-o", base],
            ["extract", tuned, base, "--rank", "2", "-o", base], ["resize", lora, "--rank", "1", "-o", lora],
            ["export", lora, "-o", lora, "--format", "kohya"],
        ] {
            try expectRefusal(arguments, saying: "take the place of an input", "--overwrite")
        }
        #expect(try bytes(base) == before && bytes(lora) == adapter)
        try expectSuccess(["merge", base, lora, "-o", base, "--overwrite", "--quiet"])
        #expect(
            try bytes(base) != before && SafetensorsFile(base).entries.count == SafetensorsFile(tuned).entries.count)
    }

    /// Two LoRAs of which one module is common: rank 1 counted half, rank 2 counted -2.
    @Test func `several LoRAs become one that adds what they add, and resize takes it`() throws {
        let folder = try Scratch()
        let first = try lora(folder)
        let (common, own) = ("down_blocks.0.2.attention.attn.to_q", "down_blocks.0.2.attention.attn.to_k")
        func ramp(_ count: Int, _ start: Float) -> [Float] { (0..<count).map { start + Float($0) / 8 } }
        let second = try folder.write(
            Dictionary(
                uniqueKeysWithValues: [common, own].flatMap {
                    [
                        ("\($0).lora_down.weight", Golden.Tensor(ramp(32, -2), [2, 16])),
                        ("\($0).lora_up.weight", Golden.Tensor(ramp(32, 1), [16, 2])),
                    ]
                }),
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "2", "alpha": "4",
            ], to: "second.safetensors")
        let both = folder["both.safetensors"]
        try expectSuccess(["merge", "--adapters-only", "\(first):0.5", "\(second):-2", "-o", both])
        func product(_ path: String, _ module: String) throws -> Tensor {
            let file = try SafetensorsFile(path)
            return try file.required("\(module).lora_up.weight").matmul(file.required("\(module).lora_down.weight"))
        }
        func largest(_ tensor: Tensor) throws -> Float {
            try tensor.to(dtype: .float32).values(as: Float.self).map(abs).max() ?? 0
        }
        let file = try SafetensorsFile(both)
        #expect(
            file["\(common).lora_down.weight"]?.shape == [3, 16] && file["\(own).lora_down.weight"]?.shape == [2, 16])
        // alpha over rank is 2 in the second.
        let sum = try product(first, common) * 0.5 + product(second, common) * -4
        #expect(try largest(product(both, common) - sum) < 1e-4)
        #expect(try largest(product(both, own) - product(second, own) * -4) < 1e-4)
        // Merged into a base it gives what the two give.
        let base = try TinyWorld.shared().base
        try expectSuccess(["merge", base, both, "-o", folder["one"]])
        try expectSuccess(["merge", base, "\(first):0.5", "\(second):-2", "-o", folder["two"]])
        let (one, two) = (try SafetensorsFile(folder["one"]), try SafetensorsFile(folder["two"]))
        for entry in two.entries {
            let apart = try one.required(entry.name).to(dtype: .float32) - two.required(entry.name).to(dtype: .float32)
            #expect(try largest(apart) < 1e-3, "\(entry.name)")
        }
        try expectSuccess(["resize", both, "--rank", "3", "-o", folder["small.safetensors"]])
        #expect(try largest(product(folder["small.safetensors"], common) - sum) < 1e-3)
    }

    @Test func `live and averaged weights are told apart`() throws {
        let folder = try Scratch()
        let lora = try lora(folder)
        let base = try SafetensorsFile(TinyWorld.shared().base)
        var tensors: [(name: String, tensor: Tensor)] = []
        for prefix in ["averaged.", "live."] {
            for entry in base.entries { tensors.append((prefix + entry.name, try base.required(entry.name))) }
        }
        try SafetensorsWriter.write(tensors, to: folder["both.safetensors"])
        let outcome = try Command.run(["merge", folder["both.safetensors"], lora, "-o", folder["out"]])
        #expect(outcome.status == 0 && outcome.errors.contains("under `averaged.` is changed"), "\(outcome)")
        #expect(outcome.errors.contains("left as it is: under `live.`"), "\(outcome)")
    }

    @Test func `an interruption leaves nothing behind`() throws {
        let folder = try Scratch()
        let module = "down_blocks.0.2.attention.attn.out_proj"
        let (side, rank) = (8192, 64)
        let lora = try folder.write(
            [
                "\(module).lora_down.weight": .init([Float](repeating: 1, count: rank * side), [rank, side]),
                "\(module).lora_up.weight": .init([Float](repeating: 1, count: rank * side), [side, rank]),
            ],
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "lora", "rank": "\(rank)",
                "alpha": "1",
            ], to: "lora.safetensors")
        // A base so large that the signal comes in the middle; its zeros take no room on the disk.
        let size = side * side * 4
        let header = Data(
            """
            {"\(module).weight": {"dtype": "F32", "shape": [\(side), \(side)], "data_offsets": [0, \(size)]}, \
            "clip_txt_mapper.weight": {"dtype": "F32", "shape": [1, 1], "data_offsets": [\(size), \(size + 4)]}}
            """.utf8)
        let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Data($0) }
        try (length + header).write(to: URL(fileURLWithPath: folder["base.safetensors"]))
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: folder["base.safetensors"]))
        try handle.truncate(atOffset: UInt64(8 + header.count + size + 4))
        try FileManager.default.createDirectory(atPath: folder["out"], withIntermediateDirectories: false)
        func left() -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: folder["out"])) ?? [] }
        let outcome = try Command.run(
            ["merge", folder["base.safetensors"], lora, "-o", "\(folder["out"])/merged.safetensors"]
        ) { process in
            while process.isRunning, left().isEmpty { usleep(500) }
            process.interrupt()
        }
        #expect(outcome.exited && outcome.status == 130, "\(outcome)")
        #expect(left().isEmpty)
    }

    @Test func `new tokens come with the file that a tokenizer reads`() throws {
        let world = try TinyWorld.shared()
        let folder = try Scratch()
        let ones = [Float](repeating: 1, count: 16)
        let tokens = try folder.write(
            ["tokens.start": .init(ones, [1, 16]), "tokens.delta": .init(ones, [1, 16])],
            metadata: [
                "format": "cascade-adapt-adapter", "format_version": "1", "kind": "tokens",
                "tokens": #"[{"text": "[toy]", "id": 76, "new": true}]"#,
            ], to: "tokens.safetensors")
        let merge = ["merge", "\(world.text)/model.safetensors", tokens, "-o", folder["model.safetensors"]]
        try expectSuccess(merge)
        let rows = try SafetensorsFile("\(world.text)/model.safetensors").entries.first {
            $0.name.hasSuffix("token_embedding.weight")
        }?.shape.first
        #expect(try JSON.read(folder["added_tokens.json"])["[toy]"]?.intValue == rows)
        // A folder in which the token means something else stays as it is.
        try folder.write(#"{"[toy]": 3}"#, to: "added_tokens.json")
        try expectRefusal(merge, saying: "[toy]")
    }

    @Test func `bad input is refused and nothing is written`() throws {
        let base = try TinyWorld.shared().base
        let folder = try Scratch()
        let (lora, out) = (try lora(folder), folder["out.safetensors"])
        try expectRefusal(["merge", folder["none"], lora, "-o", out], saying: "none")
        try expectRefusal(["merge", lora, lora, "-o", out], saying: "changes nothing")
        try expectRefusal(["merge", base, base, "-o", out], saying: "adapter")
        try expectRefusal(["extract", base, base, "--rank", "2", "-o", out, "--quiet"], saying: "do not differ")
        try expectRefusal(["extract", base, base, "--rank", "0", "-o", out], saying: "--rank")
        try expectRefusal(["extract", base, base, "--rank", "2", "--modules", "nope", "-o", out], saying: "`nope`")
        try expectRefusal(["resize", lora, "--rank", "5000", "-o", out], saying: "--rank")
        #expect(!FileManager.default.fileExists(atPath: out))
    }
}
