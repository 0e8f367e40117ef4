import JSON
import Loading

/// What changes from update to update, beside tensors, and is saved with a checkpoint.
struct TrainingProgress {
    /// Updates so far that changed nothing, because their loss or their gradients' norm was not finite.
    struct Bad: Equatable {
        var total = 0
        /// Of those, the ones after the last good update.
        var inARow = 0

        /// Takes in how an update went.
        mutating func count(isGood: Bool) {
            total += isGood ? 0 : 1
            inARow = isGood ? 0 : inARow + 1
        }
    }

    /// Done so far, bad ones too.
    var updates = 0
    /// That of the last checkpoint; 0 before the first.
    var saved = 0
    /// The smoothed loss.
    var loss: Double?
    var loader = LoaderState()
    var bad = Bad()
    /// What the held-out loss at the end is compared with.
    var heldOutBefore: HeldOut.Measurement?
    /// After which update that was measured: 0, unless the run has gone on with another configuration.
    var heldOutSince = 0
    /// Measured after the last update; not saved.
    var heldOutAfter: HeldOut.Measurement?

    init() {}

    /// Steps that the optimizer has taken.
    var steps: Int { updates - bad.total }

    /// - Parameter learned: the running losses of each learner.
    func json(_ learned: [[Float]]) -> JSON.Object {
        var info = JSON.Object()
        info["loss"] = loss.map(JSON.number)
        info["data"] = loader.json
        if bad.total > 0 {
            info["bad_steps"] = .integer(bad.total)
            info["bad_steps_in_a_row"] = .integer(bad.inARow)
        }
        if heldOutSince > 0 { info["held_out_since"] = .integer(heldOutSince) }
        info["held_out_before"] = heldOutBefore.map { .array($0.losses.map(JSON.number)) }
        if !learned.isEmpty {
            info[Self.runningLossesKey] = .array(learned.map { .array($0.map { .number(Double($0)) }) })
        }
        return info
    }

    /// Reads `info.json`; nil where it does not say how far the run is.
    init?(_ info: JSON) {
        guard let updates = info["updates"]?.intValue, updates >= 0, let loader = LoaderState(info["data"] ?? .null)
        else { return nil }
        self.updates = updates
        saved = updates
        loss = info["loss"]?.doubleValue
        self.loader = loader
        bad.total = min(max(0, info["bad_steps"]?.intValue ?? 0), updates)
        bad.inARow = min(max(0, info["bad_steps_in_a_row"]?.intValue ?? 0), bad.total)
        let losses = info["held_out_before"]?.arrayValue?.compactMap(\.doubleValue) ?? []
        heldOutBefore = losses.isEmpty ? nil : HeldOut.Measurement(losses: losses)
        heldOutSince = min(max(0, info["held_out_since"]?.intValue ?? 0), updates)
    }

    /// The running losses of each learner, as `info.json` has them.
    static func runningLosses(_ info: JSON) -> [[Float]] {
        (info[runningLossesKey]?.arrayValue ?? []).map { losses in
            (losses.arrayValue ?? []).compactMap { $0.doubleValue.map(Float.init) }
        }
    }

    private static let runningLossesKey = "running_losses"
}
