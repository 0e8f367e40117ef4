import Settings

extension Schedule: SettingReadable {
    /// For messages about a configuration.
    public static var expectation: String { "a schedule" }

    /// Reads a name, or a mapping with `name` and the reference's constructor values.
    public static func read(_ setting: Setting) throws -> Schedule {
        let schedule = try setting.choice(among: makers)
        guard let limits = try schedule.limits() else { return schedule }
        // Negated, so that not-a-number fails.
        guard limits.low < limits.high else {
            throw setting.refusal(
                expected: "values with which log SNR falls over t",
                advice: "it is \(limits.high) at t = 0 and \(limits.low) at t = 1")
        }
        return schedule
    }

    private typealias Maker = (inout Fields) throws -> Schedule

    private static var makers: KeyValuePairs<String, Maker> {
        [
            "cosine": curve { fields in
                var curve = CosineSchedule()
                curve.offset = try fields.value("s", default: curve.offset, .notNegative)
                curve.bounds = try bounds(&fields)
                return curve
            },
            "cosine2": curve { fields in
                var curve = CosineSchedule2()
                curve.logSNRRange = try fields.range("logsnr_range", default: curve.logSNRRange)
                return curve
            },
            "sqrt": curve { fields in
                var curve = SqrtSchedule()
                curve.offset = try fields.value("s", default: curve.offset, .notNegative)
                curve.bounds = try bounds(&fields)
                return curve
            },
            "rectified_flow": curve { fields in
                var curve = RectifiedFlowSchedule()
                curve.logSNRRange = try fields.range("logsnr_range", default: curve.logSNRRange)
                return curve
            },
            "edm_sample": curve { fields in
                var curve = EDMSampleSchedule()
                curve.sigmaRange = try fields.range(
                    "sigma_range", default: curve.sigmaRange, within: 0...Double.greatestFiniteMagnitude)
                curve.exponent = try fields.value("p", default: curve.exponent, .positive)
                return curve
            },
            "edm_train": distribution { fields in
                var draws = EDMTrainSchedule()
                draws.mean = try fields.value("mu", default: draws.mean, .finite)
                draws.deviation = try fields.value("std", default: draws.deviation, .notNegative)
                draws.hasReferenceSign = try fields.value("reference_sign", default: false)
                return draws
            },
            "linear": curve { fields in
                var curve = LinearSchedule()
                curve.logSNRRange = try fields.range("logsnr_range", default: curve.logSNRRange)
                return curve
            },
            "piecewise_linear": curve { PiecewiseLinearSchedule(try $0.varianceTable()) },
            "stable_diffusion": curve { PiecewiseLinearSchedule(try $0.stableDiffusionTable()) },
            "adaptive_train": distribution { fields in
                try AdaptiveTrainSchedule(
                    logSNRRange: fields.range("logsnr_range", default: -10...10),
                    buckets: fields.value("buckets", default: 100, .within(1...1_000_000)),
                    leastWeight: fields.value("min_probs", default: 0, .notNegative))
            },
            "interpolated": curve { fields in
                var curve = InterpolatedSchedule(try timed(&fields, "scheduler1"), try timed(&fields, "scheduler2"))
                let shifts: [Double] = try fields.value(
                    "shifts", default: [1, 1],
                    Requirement("of two above 0 and finite") {
                        $0.count == 2 && $0.allSatisfy { $0 > 0 && $0.isFinite }
                    })
                curve.shifts = (shifts[0], shifts[1])
                return curve
            },
        ]
    }

    private static func curve(_ make: @escaping (inout Fields) throws -> any ScheduleCurve) -> Maker {
        { fields in
            var schedule = Schedule(.curve(try make(&fields)))
            schedule.isLimited = try fields.value("force_limits", default: true)
            schedule.discreteSteps = try fields.optional("discrete_steps", .within(2...1_000_000))
            schedule.shift = try fields.value("shift", default: 1, .positive)
            return schedule
        }
    }

    /// A distribution has no times to round and no ends to keep within.
    private static func distribution(_ make: @escaping (inout Fields) throws -> any LogSNRDistribution) -> Maker {
        { fields in
            var schedule = Schedule(.distribution(try make(&fields)))
            for key in ["force_limits", "discrete_steps"] { fields.ignore(key) }
            schedule.shift = try fields.value("shift", default: 1, .positive)
            return schedule
        }
    }

    private static func bounds(_ fields: inout Fields) throws -> VarianceBounds {
        var bounds = VarianceBounds()
        bounds.range = try fields.range("clamp_range", default: bounds.range, within: 0...1)
        bounds.isScaling = try fields.value("norm_instead", default: false)
        return bounds
    }

    /// A schedule that takes times.
    private static func timed(_ fields: inout Fields, _ key: String) throws -> Schedule {
        let schedule: Schedule = try fields.required(key)
        guard schedule.takesTimes else {
            throw (fields.setting[key] ?? fields.setting).refusal(expected: "a schedule that takes times")
        }
        return schedule
    }
}
