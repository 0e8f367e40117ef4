import Foundation
import Images
import JSON
import TestSupport
import Testing
import Torch
import Weights

private let root = String(#filePath.dropLast("Tests/CommandTests/MachineCommandTests.swift".count))

@Suite struct DoctorTests {
    @Test func `doctor shows the engine and keeps the two BLAS apart`() throws {
        let report = try JSON.parse(try expectSuccess(["doctor", "--json"]), file: "report")
        #expect(report["ready"]?.boolValue == true)
        let libtorch = try #require(report["libtorch"])
        #expect(libtorch["version"]?.stringValue == libtorch["built_with"]?.stringValue)
        #expect(libtorch["library"]?.stringValue?.hasSuffix("libtorch_cpu.so") == true)
        let blas = try #require(report["blas"])
        #expect(blas["engine"]?["sgemm_"]?.stringValue?.contains("libtorch") == true)
        #expect(blas["algebra"]?["sgemm_"]?.stringValue?.contains("openblas") == true)
        #expect(blas["algebra"]?["sgesdd_"]?.stringValue?.contains("openblas") == true)
        #expect(try expectSuccess(["doctor"]).contains("libtorch: \(libtorch["version"]?.stringValue ?? "?")"))
    }

    @Test func `without libtorch doctor says so, and help still stands`() throws {
        let scratch = try Scratch()
        // Alone in a folder, the program finds no engine.
        try FileManager.default.copyItem(atPath: Command.program, toPath: scratch["alone"])
        let outcome = try Command.run(["doctor"], environment: ["CASCADE_ENGINE": ""], program: scratch["alone"])
        #expect(outcome.exited && outcome.status == 1)
        #expect(outcome.output.contains(scratch["libCTorchEngine.so"]) && outcome.output.contains("no such file"))
        #expect(outcome.errors.hasPrefix("error: libtorch could not be loaded") && outcome.errorLines.count == 2)
        #expect(outcome.errors.contains("make setup"))
        #expect(try Command.run(["--help"], program: scratch["alone"]).status == 0)
        let work = try Command.run(
            ["filter", "apply", "CannyFilter", "none.png", "-o", "o.png"], program: scratch["alone"])
        #expect(work.exited && work.status != 0 && work.errors.hasPrefix("error: "))
    }
}

@Suite struct ModelsDrawTests {
    @Test func `drawn models fit the tiny Stage C, and a seed repeats them`() throws {
        let scratch = try Scratch()
        let arguments = ["models", "draw", "tiny", "--seed", "5", "--tokenizer", root + "models/clip-tokenizer", "-o"]
        let said = try expectSuccess(arguments + [scratch["one"]])
        #expect(said.contains("previewer fitted"))
        try expectSuccess(arguments + [scratch["two"]])
        for name in ["effnet_encoder.safetensors", "previewer.safetensors", "clip-text/model.safetensors"] {
            let (one, two) = (scratch["one/\(name)"], scratch["two/\(name)"])
            #expect(FileManager.default.contentsEqual(atPath: one, andPath: two), "\(name)")
        }
        let values = (0..<24576).map { Float($0 % 97) / 48 - 1 }  // [2, 3, 64, 64]
        let colours = try Tensor(values, shape: [2, 3, 64, 64])
        try SafetensorsWriter.write([("images", colours)], to: scratch["images"])
        try expectSuccess([
            "forward", "effnet", "--inputs", scratch["images"], "--weights", scratch["one/effnet_encoder.safetensors"],
            "--outputs", scratch["latents"],
        ])
        let latents = try SafetensorsFile(scratch["latents"])
        #expect(latents["latents"]?.shape == [2, 16, 2, 2])
        #expect(try latents.required("latents").isAllFinite())
        try expectSuccess([
            "forward", "previewer", "--inputs", scratch["latents"], "--weights",
            scratch["one/previewer.safetensors"], "--arch", scratch.write("c_hidden: 64\n", to: "previewer.yaml"),
            "--outputs", scratch["image"],
        ])
        #expect(try SafetensorsFile(scratch["image"])["images"]?.shape == [2, 3, 16, 16])

        let ids = try Tensor([49406, 320, 49407], shape: [1, 3])
        let mask = try Tensor([1, 1, 1], shape: [1, 3])
        try SafetensorsWriter.write([("tokens", ids), ("attention_mask", mask)], to: scratch["tokens"])
        try expectSuccess([
            "forward", "clip-text", "--inputs", scratch["tokens"], "--arch", scratch["one/clip-text/config.json"],
            "--weights", scratch["one/clip-text/model.safetensors"], "--outputs", scratch["text"],
        ])
        #expect(try SafetensorsFile(scratch["text"])["pooled"]?.shape == [1, 128])
    }

    @Test func `bad places and data are refused before any work`() throws {
        let scratch = try Scratch()
        let file = try scratch.write("", to: "file")
        let tokenizer = ["--tokenizer", root + "models/clip-tokenizer"]
        try expectRefusal(["models", "draw", "tiny", "-o", scratch["o"], "--tokenizer", scratch.path], saying: "vocab")
        try expectRefusal(["models", "draw", "tiny", "-o", scratch["o"], "--data", file] + tokenizer, saying: "file")
        try expectRefusal(["models", "draw", "huge", "-o", scratch["o"]] + tokenizer, saying: "huge", "tiny")
        try expectRefusal(["models", "draw", "tiny", "-o", "\(file)/o"] + tokenizer, status: 2, saying: "file")
    }
}
