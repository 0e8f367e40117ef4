import Glibc
import Settings

/// The learning rate of every update: a linear warm-up, then one of several ways down.
///
/// A function of the update's number alone, so it is the same after a resume. Update u of w warm-up updates has u / w
/// of the full rate, so none is without effect; update w + 1 has all of it, and the one after the last would have the
/// least. Sources: torch.optim.lr_scheduler's LinearLR and CosineAnnealingLR, and transformers'
/// get_cosine_with_hard_restarts_schedule_with_warmup.
public struct LearningRateSchedule: Sendable {
    /// How the rate falls behind the warm-up.
    public enum Course: Sendable {
        /// Stays at the full rate.
        case constant
        /// Falls in a straight line to `least` of the full rate.
        case linear(least: Double)
        /// Falls along half a cosine to `least` of the full rate, and so again from the top in each further cycle.
        case cosine(least: Double, cycles: Int)
    }

    /// The rate at the end of the warm-up.
    public var full: Double
    /// Updates in which the rate rises from nothing; 0 begins with the full one.
    public var warmupUpdates: Int
    /// Of the whole run.
    public var updates: Int
    /// How the rate falls from then on.
    public var course: Course

    /// Without warm-up and constant, unless the arguments say otherwise.
    public init(full: Double, warmupUpdates: Int = 0, updates: Int, course: Course = .constant) {
        self.full = full
        self.warmupUpdates = warmupUpdates
        self.updates = updates
        self.course = course
    }

    /// - Parameter update: counted from 1.
    public func callAsFunction(_ update: Int) -> Double {
        if update <= warmupUpdates { return full * Double(update) / Double(warmupUpdates) }
        let progress = Double(update - 1 - warmupUpdates) / Double(max(1, updates - warmupUpdates))
        switch course {
        case .constant: return full
        case .linear(let least): return full * (1 - (1 - least) * min(1, progress))
        case .cosine(let least, let cycles):
            let turns = min(progress, 1) * Double(cycles)
            let share = progress < 1 ? turns - turns.rounded(.down) : 1
            return full * (least + (1 - least) * 0.5 * (1 + cos(.pi * share)))
        }
    }
}

extension LearningRateSchedule.Course: SettingReadable {
    /// For messages about a configuration.
    public static var expectation: String { "a schedule of the learning rate" }

    /// Reads `constant`, `linear`, `cosine` or `cosine_with_restarts`, alone or as `name` of a mapping with
    /// `min_lr_ratio` and `cycles`.
    public static func read(_ setting: Setting) throws -> Self {
        func least(_ fields: inout Fields) throws -> Double {
            try fields.value("min_lr_ratio", default: 0, .within(0...1))
        }
        return try setting.choice(
            among: [
                "constant": { _ in .constant },
                "linear": { .linear(least: try least(&$0)) },
                "cosine": { .cosine(least: try least(&$0), cycles: 1) },
                "cosine_with_restarts": {
                    .cosine(least: try least(&$0), cycles: try $0.value("cycles", default: 1, .within(1...1_000_000)))
                },
            ])
    }
}
