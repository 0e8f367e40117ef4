import Settings

extension LossWeight: SettingReadable {
    /// For messages about a configuration.
    public static var expectation: String { "a loss weight" }

    /// Reads a name, or a mapping with `name` and the reference's constructor values.
    public static func read(_ setting: Setting) throws -> LossWeight { try setting.choice(among: makers) }

    private static var makers: KeyValuePairs<String, (inout Fields) throws -> LossWeight> {
        [
            "constant": { .constant(try $0.value("v", default: 1, .notNegative)) },
            "snr": { _ in .snr },
            "p2": { fields in
                .p2(
                    k: try fields.value("k", default: 1, .notNegative),
                    gamma: try fields.value("gamma", default: 1, .finite),
                    s: try fields.value("s", default: 1, .finite))
            },
            "snr_plus_one": { _ in .snrPlusOne },
            "min_snr": { .minSNR(maximum: try $0.value("max_snr", default: 5, .above(0))) },
            "min_snr_plus_one": { .minSNRPlusOne(maximum: try $0.value("max_snr", default: 5, .above(0))) },
            "truncated_snr": { .truncatedSNR(minimum: try $0.value("min_snr", default: 1, .notNegative)) },
            "sech": { .sech(width: try $0.value("div", default: 2, .positive)) },
            "debiased": { _ in .debiased },
            "sigmoid": { .sigmoid(slope: try $0.value("s", default: 1, .finite)) },
            "adaptive": { fields in
                .adaptive(
                    try AdaptiveLossWeight(
                        logSNRRange: fields.range("logsnr_range", default: -10...10),
                        buckets: fields.value("buckets", default: 300, .within(2...1_000_000)),
                        weightRange: fields.range("weight_range", default: 1e-7...1e7, within: 0...Double.infinity)))
            },
            "composed": { fields in
                func weights(_ key: String) throws -> [LossWeight] {
                    try fields.optional(key, as: OneOrMore<LossWeight>.self)?.elements ?? []
                }
                let (multiplied, divided) = (try weights("mul"), try weights("div"))
                guard !(multiplied + divided).isEmpty else {
                    throw fields.setting.refusal(expected: "loss weights under \"mul\", under \"div\", or both")
                }
                return .composed(multiplied: multiplied, divided: divided)
            },
        ]
    }
}
