import Foundation
import TestSupport
import Testing
import Weights

/// `forward sample` and `forward diffuse` where nothing but a seed says what comes out, and what they refuse.
@Suite struct ForwardSampleTests {
    /// A tiny Stage C and its inputs in files.
    private struct Files {
        let scratch: Scratch
        let golden: Golden
        let weights: String

        init() throws {
            scratch = try Scratch()
            golden = try Golden("sample")
            weights = try scratch.write(golden.part("weights"), to: "weights.safetensors")
        }

        func arguments(
            _ settings: [String: Any], seed: Int = 1, inputs keep: (String) -> Bool = { _ in true }
        ) throws -> [String] {
            let json = try JSONSerialization.jsonObject(with: Data(golden.arch.utf8))
            var arch = try #require(json as? [String: Any])
            for (key, value) in settings { arch[key] = value }
            let text = String(decoding: try JSONSerialization.data(withJSONObject: arch), as: UTF8.self)
            return [
                "forward", "sample", "--weights", weights, "--seed", "\(seed)", "--outputs",
                scratch["out.safetensors"], "--arch", try scratch.write(text, to: "arch.json"), "--inputs",
                try scratch.write(golden.part("in").filter { keep($0.key) }, to: "in.safetensors"),
            ]
        }

        func run(
            _ settings: [String: Any], seed: Int = 1, inputs keep: (String) -> Bool = { _ in true }
        ) throws -> [Float] {
            try expectSuccess(arguments(settings, seed: seed, inputs: keep))
            return try SafetensorsFile(scratch["out.safetensors"]).required("out").values()
        }
    }

    @Test(arguments: ["ddpm", "lcm"]) func `samplers that draw are the peer's with the seed's noise`(
        _ sampler: String
    ) throws {
        let files = try Files()
        let theirs = try #require(files.golden.part("drawn")[sampler]).floats
        let ours = try files.run(["sampler": sampler], seed: 0)
        let mean = theirs.reduce(0, +) / Float(theirs.count)
        let deviation = (theirs.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Float(theirs.count)).squareRoot()
        let difference = try #require(zip(ours, theirs).map { abs($0 - $1) }.max())
        #expect(ours.count == theirs.count && difference <= 1e-3 * deviation)
        #expect(try ours != files.run(["sampler": sampler], seed: 2))
    }

    @Test func `without guidance the unconditional inputs change nothing`() throws {
        let files = try Files()
        let settings: [String: Any] = ["cfg": NSNull(), "timesteps": 3]
        #expect(try files.run(settings) == files.run(settings) { !$0.hasPrefix("uncond.") })
        // A window that no step lies in, and a strength of 1 without rescale, are no guidance either.
        let closed: [String: Any] = ["cfg_t_start": 0.55, "cfg_t_stop": 0.5, "timesteps": 3]
        #expect(try files.run(settings) == files.run(closed))
        let plain = try files.run(["cfg": 1, "cfg_rho": 0, "cfg_t_start": 1, "cfg_t_stop": 0, "timesteps": 3])
        let distance = try zip(plain, files.run(settings)).map { abs($0 - $1) }.max()
        #expect(try #require(distance) < 1e-4)
    }

    @Test func `a LoRA is refused where it is none, values where they make no sense`() throws {
        let files = try Files()
        try expectRefusal(files.arguments([:]) + ["--adapter", files.weights], saying: "native")
        try expectRefusal(files.arguments(["schedule": "edm_train"]), saying: "takes times", "only draws")
        try expectRefusal(files.arguments(["timesteps": 0]), saying: "timesteps", "from 1")
        try expectRefusal(files.arguments(["cfg": [1, 2, 3]]), saying: "cfg", "two at most")
        try expectRefusal(files.arguments(["cfg_t_start": 0.1, "cfg_t_stop": 0.2]), saying: "cfg_t_stop")
        try expectRefusal(files.arguments(["sampler": "ddimm"]), saying: "sampler", "\"ddim\"")
        try expectRefusal(files.arguments(["stepps": 1]), saying: "stepps")
        try expectRefusal(files.arguments(["stage_c": ["c_in": 4, "c_out": 8]]), saying: "c_out equal to c_in")
        try expectRefusal(files.arguments([:]) { $0 != "uncond.clip_img" }, saying: "missing: uncond.clip_img")
        try expectRefusal(files.arguments([:]) { $0 != "x_init" }, saying: "missing: x_init")
    }

    @Test func `a schedule that only draws takes no times`() throws {
        let scratch = try Scratch()
        let arch = try scratch.write("schedule: edm_train\n", to: "arch.yaml")
        let latents = Golden.Tensor([Float](repeating: 1, count: 64), [64, 1, 1, 1])
        var inputs = ["x0": latents, "epsilon": latents]
        func arguments() throws -> [String] {
            [
                "forward", "diffuse", "--arch", arch, "--outputs", scratch["o"], "--inputs",
                try scratch.write(inputs, to: "i"), "--seed", "5",
            ]
        }
        try expectSuccess(arguments())
        let logSNR = try SafetensorsFile(scratch["o"]).required("logSNR").values(as: Double.self)
        // Deviation 2.4 over the root of 64 is 0.3.
        #expect(abs(logSNR.reduce(0, +) / 64 - 2.4) < 1.2)
        inputs["t"] = Golden.Tensor([Float](repeating: 0.5, count: 64), [64])
        try expectRefusal(arguments(), saying: "no `t`")
    }
}
