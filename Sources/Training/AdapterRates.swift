import AdapterKit
import Failures
import Optimization
import Settings

/// What each kind of adapter is trained with: `lora_lr` and `token_lr`, or `lr` where they are left out, and the weight
/// decay where it applies.
struct AdapterRates {
    private let run: RunConfiguration
    /// By kind.
    private var rates: [String: Double] = [:]
    /// The keys that are given, each with its rate's share of `lr`, as logs tell them.
    private(set) var named: [(key: String, factor: Double)] = []

    init(_ fields: inout Fields, _ run: RunConfiguration, _ plugIns: PlugIns) throws {
        self.run = run
        for adapter in plugIns.adapters {
            let key = adapter.rateKey
            guard let rate: Double = try fields.optional(key, .positive) else { continue }
            if case .prodigy = run.optimizer, rate != run.schedule.full {
                throw Failure.input(
                    "prodigy finds one learning rate for all that is trained", at: fields.setting[key]?.place,
                    expected: "no `\(key)` beside `lr`", got: "\(rate)")
            }
            rates[adapter.kind] = rate
            named.append((key, rate / run.schedule.full))
        }
    }

    /// An adapter's parameters, those that decay and those that do not.
    func groups(of adapter: any Adapter) -> [ParameterGroup] {
        let factor = rates[type(of: adapter).kind].map { $0 / run.schedule.full } ?? 1
        guard adapter.decays else { return [ParameterGroup(adapter.parameters, rateFactor: factor)] }
        return ParameterGroup.decaying(adapter.parameters, by: run.weightDecay, rateFactor: factor)
    }
}
