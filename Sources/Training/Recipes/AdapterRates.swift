import AdapterKit
import Failures
import Optimization
import Settings

/// What adapters and parts of them are trained with: `lora_lr`, `text_lr` and `token_lr`, or `lr` where they are left
/// out, and the weight decay where it applies.
struct AdapterRates {
    private let run: RunConfiguration
    /// By key.
    private var rates: [String: Double] = [:]

    init(_ fields: inout Fields, _ run: RunConfiguration, _ plugIns: PlugIns) throws {
        self.run = run
        for key in plugIns.adapters.flatMap(\.rateKeys) {
            guard let rate: Double = try fields.optional(key, .positive) else {
                fields.settle(key, .number(run.schedule.full))
                continue
            }
            if case .prodigy = run.optimizer, rate != run.schedule.full {
                throw Failure.input(
                    "prodigy finds one learning rate for all that is trained", at: fields.setting[key]?.place,
                    expected: "no `\(key)` beside `lr`", got: "\(rate)")
            }
            rates[key] = rate
        }
    }

    /// What the rate of an update is multiplied by for the parameters of a key.
    private func factor(_ key: String) -> Double { rates[key].map { $0 / run.schedule.full } ?? 1 }

    /// An adapter's parameters, those that decay and those that do not, by their rates.
    func groups(of adapter: any Adapter) -> [ParameterGroup] {
        let kind = adapter.kind
        return kind.rateKeys.flatMap { key -> [ParameterGroup] in
            let parameters = adapter.parameters.filter { kind.rateKey(of: $0.name) == key }
            guard adapter.decays else {
                return parameters.isEmpty ? [] : [ParameterGroup(parameters, rateFactor: factor(key))]
            }
            return ParameterGroup.decaying(parameters, by: run.weightDecay, rateFactor: factor(key))
        }
    }

    /// The rates of their own that the adapters' parameters have, by key, as factors of the update's.
    func own(of adapters: [any Adapter]) -> [(name: String, factor: Double)] {
        adapters.flatMap { adapter in
            let kind = adapter.kind
            let used = Set(adapter.parameters.map { kind.rateKey(of: $0.name) })
            return kind.rateKeys.filter { rates[$0] != nil && used.contains($0) }.map { ($0, factor($0)) }
        }
    }
}
