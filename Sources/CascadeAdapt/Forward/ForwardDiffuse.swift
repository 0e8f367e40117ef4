import Diffusion
import Failures
import Settings
import Torch

/// `forward diffuse`: what noising makes of latents, and what training asks of them.
struct ForwardDiffuse: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let process = try Process(request.arch)
        var wanted: [ForwardInputs.Wanted] = [
            .init(name: "x0", shape: ["B", "C", "H", "W"]), .init(name: "epsilon", shape: ["B", "C", "H", "W"]),
            .init(name: "t", shape: ["B"]),
        ]
        // Without noise of its own an offset may be left out, and changes nothing where it is given.
        let offsets = process.diffusion.offsetNoise != 0
        wanted.append(.init(name: "offset", shape: ["B", "C", 1, 1], isOptional: !offsets))
        let inputs = try request.inputs.read(wanted)
        let draw = Diffusion.Draw(
            epsilon: try inputs.required("epsilon"), time: try inputs.required("t"), offset: inputs["offset"])
        let noised = try process.diffusion(inputs.required("x0"), draw, shift: process.shift)
        return [
            ("noised", noised.latents), ("target", noised.target), ("logSNR", noised.logSNR),
            ("noise_cond", noised.noiseCondition), ("loss_weight", noised.lossWeight), ("a", noised.signal),
            ("b", noised.noise),
        ]
    }
}

/// The process that an architecture file describes.
private struct Process {
    var diffusion = Diffusion()
    /// Of the call, beside the schedule's own.
    var shift = 1.0

    init(_ arch: Setting?) throws {
        guard var fields = try arch?.fields() else { return }
        try Self.choose(&fields, "schedule", ["cosine"]) { _, values in
            var schedule = CosineSchedule()
            schedule.offset = try values.value("s", default: schedule.offset, .atLeast(0))
            schedule.clampRange = try Self.range(&values, default: schedule.clampRange)
            schedule.shift = try values.value("shift", default: schedule.shift, .above(0))
            diffusion.schedule = schedule
        }
        try Self.choose(&fields, "scaler", ["vp"]) { _, _ in }
        try Self.choose(&fields, "target", ["epsilon"]) { _, _ in }
        try Self.choose(&fields, "noise_cond", ["cosine"]) { _, values in
            var condition = CosineNoiseCondition()
            condition.offset = try values.value("s", default: condition.offset, .atLeast(0))
            condition.clampRange = try Self.range(&values, default: condition.clampRange)
            condition.shift = try values.value("shift", default: condition.shift, .above(0))
            diffusion.noiseCondition = condition
        }
        try Self.choose(&fields, "loss_weight", ["constant", "p2", "adaptive"]) { name, values in
            diffusion.lossWeight =
                switch name {
                case "constant": .constant
                case "adaptive": .adaptive(try AdaptiveLossWeight())
                default:
                    .p2(
                        k: try values.value("k", default: 1), gamma: try values.value("gamma", default: 1),
                        s: try values.value("s", default: 1))
                }
        }
        shift = try fields.value("shift", default: 1, .above(0))
        diffusion.lossShift = try fields.value("loss_shift", default: 1, .above(0))
        diffusion.offsetNoise = try fields.value("offset_noise", default: 0)
        try fields.finish()
    }

    /// Reads a name, or a mapping with `name` and constructor values, and hands them on.
    private static func choose(
        _ fields: inout Fields, _ key: String, _ names: [String], _ take: (String, inout Fields) throws -> Void
    ) throws {
        guard let setting: Setting = try fields.optional(key) else { return }
        let isMapping = setting.members != nil
        var values = try (isMapping ? setting : Setting.parse("", file: setting.place.file)).fields()
        let name = isMapping ? try values.required("name", as: String.self) : try setting.read(as: String.self)
        guard names.contains(name) else {
            throw Failure.input(
                "there is no \(key) of this name yet", at: setting.place, expected: names.joined(separator: ", "),
                got: name)
        }
        try take(name, &values)
        try values.finish()
    }

    private static func range(_ values: inout Fields, default fallback: ClosedRange<Double>) throws
        -> ClosedRange<Double>
    {
        let ascending = Requirement<[Double]>("of two, ascending within 0 and 1") { ends in
            ends.count == 2 && ends[0] < ends[1] && ends.allSatisfy((0...1).contains)
        }
        let ends = try values.value("clamp_range", default: [fallback.lowerBound, fallback.upperBound], ascending)
        return ends[0]...ends[1]
    }
}
