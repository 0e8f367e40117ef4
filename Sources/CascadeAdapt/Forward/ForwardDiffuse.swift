import Diffusion
import Failures
import Settings
import Torch

/// `forward diffuse`: what noising makes of latents, and what training asks of them.
struct ForwardDiffuse: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        var diffusion = Diffusion()
        var shift = 1.0
        if var fields = try request.arch?.fields() {
            diffusion = try Diffusion(&fields)
            try diffusion.readTraining(&fields)
            shift = try fields.value("shift", default: shift, .positive)
            try fields.finish()
        }
        let inputs = try request.inputs.read(wanted(diffusion, request.inputs.names))
        let (x0, epsilon) = try (inputs.required("x0"), inputs.required("epsilon"))
        let level: NoiseLevel =
            try diffusion.schedule.takesTimes
            ? .time(inputs.required("t")) : diffusion.schedule.draw(Draws(seed: request.seed, places: 0..<x0.size(0)))
        let draw = Diffusion.Draw(
            epsilon: epsilon, level: try level.to(device: request.device), offset: inputs["offset"])
        let noised = try diffusion(x0, draw, shift: shift)
        return [
            ("noised", noised.latents), ("target", noised.target), ("logSNR", noised.logSNR),
            ("noise_cond", noised.noiseCondition), ("loss_weight", noised.lossWeight), ("a", noised.scales.signal),
            ("b", noised.scales.noise),
        ]
    }

    private func wanted(_ diffusion: Diffusion, _ given: [String]) throws -> [ForwardInputs.Wanted] {
        var wanted: [ForwardInputs.Wanted] = [
            .init(name: "x0", shape: ["B", "C", "H", "W"]), .init(name: "epsilon", shape: ["B", "C", "H", "W"]),
        ]
        if diffusion.schedule.takesTimes {
            wanted.append(.init(name: "t", shape: ["B"], mayBeWhole: true))
        } else if given.contains("t") {
            throw Failure.input(
                "this schedule draws its noise levels and takes no times", expected: "no `t`", got: "`t`",
                advice: "leave `t` out; --seed says what is drawn")
        }
        // Without noise of its own an offset may be left out, and changes nothing where it is given.
        let offsets = diffusion.offsetNoise != 0
        wanted.append(.init(name: "offset", shape: ["B", "C", 1, 1], isOptional: !offsets))
        return wanted
    }
}
