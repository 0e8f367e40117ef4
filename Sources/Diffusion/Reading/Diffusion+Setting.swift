import Failures
import Settings

extension Diffusion {
    /// Reads what sampling and training share: `schedule`, `scaler`, `target` and `noise_cond`, each a name or a
    /// mapping with `name` and constructor values, each with Stage C's default.
    public init(_ fields: inout Fields) throws {
        self.init()
        schedule = try fields.value("schedule", written: ["name": "cosine", "clamp_range": [0.0001, 0.9999]])
        scaler = try fields.value("scaler", written: "vp")
        target = try fields.value("target", written: "epsilon")
        noiseCondition = try fields.value("noise_cond", written: "cosine")
    }

    /// Reads what training alone needs: `loss_weight`, `loss_shift`, `time_power` and `offset_noise`.
    public mutating func readTraining(_ fields: inout Fields) throws {
        lossWeight = try fields.value("loss_weight", written: "p2")
        lossShift = try fields.value("loss_shift", default: lossShift, .positive)
        timePower = try fields.value("time_power", default: timePower, .positive)
        if timePower != 1, !schedule.takesTimes {
            throw Failure.input(
                "`time_power` has no times to act on", at: fields.setting["time_power"]?.place,
                expected: "a schedule that has times", got: fields.setting["schedule"]?.text)
        }
        offsetNoise = try fields.value("offset_noise", default: offsetNoise, .notNegative)
    }
}

extension Scaler: SettingReadable {
    /// Reads a name, or a mapping with nothing but `name`.
    public static func read(_ setting: Setting) throws -> Scaler {
        try setting.choice(among: ["vp": { _ in .variancePreserving }, "lerp": { _ in .interpolating }])
    }
}

extension Target: SettingReadable {
    /// Reads a name, or a mapping with nothing but `name`.
    public static func read(_ setting: Setting) throws -> Target {
        try setting.choice(
            among: [
                "epsilon": { _ in .epsilon }, "x0": { _ in .x0 }, "v": { _ in .v },
                "rectified_flow": { _ in .rectifiedFlow },
            ])
    }
}
