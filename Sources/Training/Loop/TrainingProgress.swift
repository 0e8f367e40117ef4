import JSON
import Loading

/// What changes from update to update, beside tensors, and is saved with a checkpoint.
struct TrainingProgress {
    /// Updates so far that changed nothing, because their loss or their gradients' norm was not finite.
    struct Bad: Equatable {
        var total = 0
        /// Of those, the ones after the last good update.
        var inARow = 0
        /// How often the run went back to its checkpoint since that was saved; not saved.
        var returns = 0
    }

    /// Done so far, bad ones too.
    var updates = 0
    /// That of the last checkpoint; 0 before the first.
    var saved = 0
    /// The smoothed loss.
    var loss: Double?
    var loader = LoaderState()
    var bad = Bad()
    /// Of the last good update's gradients, where they are clipped by it.
    var gradientNorm: Double?
    /// In how many parts batches are taken, where the run found out by itself: from the free memory, or because memory did
    /// not hold fewer.
    var parts: Int?
    /// What the validation loss at the end is compared with.
    var validationBefore: ValidationSet.Measurement?
    /// After which update that was measured: 0, unless the run has gone on with another configuration.
    var validationSince = 0
    /// Measured after the last update; not saved.
    var validationAfter: ValidationSet.Measurement?

    init() {}

    /// Takes in how an update went.
    mutating func count(loss raw: Double, isGood: Bool) {
        updates += 1
        if isGood {
            loss = loss.map { 0.99 * $0 + 0.01 * raw } ?? raw
            bad.inARow = 0
        } else {
            bad.total += 1
            bad.inARow += 1
        }
    }

    /// Takes in that an update spoilt the weights, which are as this progress, the last checkpoint's, has them again: the
    /// updates since then are lost, and count as bad; their samples are passed.
    mutating func count(lost later: TrainingProgress) {
        bad.total += later.updates + 1 - updates
        bad.returns = later.bad.returns + 1
        bad.inARow = later.bad.inARow + 1
        updates = later.updates + 1
        loader = later.loader
        (validationBefore, validationSince) = (later.validationBefore, later.validationSince)
    }

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
        if validationSince > 0 { info["held_out_since"] = .integer(validationSince) }
        info["gradient_norm"] = gradientNorm.map(JSON.number)
        info["parts"] = parts.map(JSON.integer)
        info["held_out_before"] = validationBefore.map { .array($0.losses.map(JSON.number)) }
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
        gradientNorm = info["gradient_norm"]?.doubleValue
        parts = info["parts"]?.intValue.flatMap { $0 > 0 ? $0 : nil }
        let losses = info["held_out_before"]?.arrayValue?.compactMap(\.doubleValue) ?? []
        validationBefore = losses.isEmpty ? nil : ValidationSet.Measurement(losses: losses)
        validationSince = min(max(0, info["held_out_since"]?.intValue ?? 0), updates)
    }

    /// The running losses of each learner, as `info.json` has them.
    static func runningLosses(_ info: JSON) -> [[Float]] {
        (info[runningLossesKey]?.arrayValue ?? []).map { losses in
            (losses.arrayValue ?? []).compactMap { $0.doubleValue.map(Float.init) }
        }
    }

    private static let runningLossesKey = "running_losses"
}
