import Settings

extension NoiseCondition: SettingReadable {
    /// For messages about a configuration.
    public static var expectation: String { "a noise condition" }

    /// Reads a name, or a mapping with `name` and the reference's constructor values.
    public static func read(_ setting: Setting) throws -> NoiseCondition { try setting.choice(among: makers) }

    private typealias Maker = (inout Fields) throws -> NoiseCondition

    private static var makers: KeyValuePairs<String, Maker> {
        [
            "cosine": { fields in
                var form = CosineNoiseCondition()
                form.offset = try fields.value("s", default: form.offset, .notNegative)
                // One key for both, as in the reference.
                form.varianceRange = try fields.range("clamp_range", default: form.varianceRange, within: 0...1)
                var condition = NoiseCondition(form)
                condition.clampRange = form.varianceRange
                condition.shift = try fields.value("shift", default: 1, .positive)
                return condition
            },
            "edm": form { _ in EDMNoiseCondition() },
            "sigmoid": form { _ in SigmoidNoiseCondition() },
            "log_snr": form { _ in LogSNRNoiseCondition() },
            "edm_sigma": form { fields in
                var form = EDMSigmaNoiseCondition()
                form.dataDeviation = try fields.value("sigma_data", default: form.dataDeviation, .positive)
                return form
            },
            "rectified_flow": form { _ in RectifiedFlowNoiseCondition() },
            "piecewise_linear": form { PiecewiseLinearNoiseCondition(try $0.varianceTable()) },
            "stable_diffusion": form { fields in
                var form = PiecewiseLinearNoiseCondition(try fields.stableDiffusionTable())
                form.staysWithinTable = true
                return form
            },
            "discrete": form { fields in
                var form = DiscreteNoiseCondition(try fields.required("noise_cond"))
                form.steps = try fields.value("steps", default: form.steps, .within(1...16_000_000))
                form.continuousRange = try fields.range("continuous_range", default: form.continuousRange)
                return form
            },
        ]
    }

    private static func form(_ make: @escaping (inout Fields) throws -> any NoiseConditionForm) -> Maker {
        { fields in
            var condition = NoiseCondition(try make(&fields))
            condition.shift = try fields.value("shift", default: 1, .positive)
            condition.clampRange = try fields.range(
                "clamp_range", default: condition.clampRange, within: -Double.infinity...Double.infinity)
            return condition
        }
    }
}
