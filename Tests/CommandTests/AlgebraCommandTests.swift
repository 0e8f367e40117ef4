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
        try expectSuccess(["resize", back, "--rank", "1", "-o", back])
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
