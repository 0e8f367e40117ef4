import JSON

/// What a run that goes on is told otherwise than when its checkpoint was saved.
struct ConfigurationChanges {
    private let changes: [(key: String, before: JSON?, now: JSON?)]

    /// Keys that say where a run stands and how far it goes, and nothing of what it learns.
    private static let places: Set = ["experiment_id", "checkpoint_path", "output_path", "updates"]

    /// Keys of all recipes that the validation loss does not hang on: with all others as they were it is over the same
    /// triples.
    private static let ofTraining: Set = [
        "lr", "lr_schedule", "warmup_updates", "optimizer",
        "weight_decay", "gradient_clip",
        "batch_size", "grad_accum_steps", "gradient_checkpointing", "use_fsdp", "offload", "caption_dropout",
        "picture_dropout",
        "effnet_dropout", "effnet_scale", "dropout", "loss_weight", "adaptive_loss_weight", "loss_shift",
        "ema_start_iters", "ema_iters", "ema_beta", "save_every", "backup_every", "keep_last", "max_bad_steps",
        "validation_every", "preview_steps", "preview_prompts", "preview_compare", "webdataset_path", "shuffle_buffer",
        "data_workers", "cache_in_memory", "cache_dir", "draws", "cache_gigabytes", "listed_commands",
        "network_patience_minutes", "wandb_project", "wandb_entity",
    ]

    /// What a checkpoint keeps of a configuration: where it stands and how far it goes is of one start alone.
    static func recorded(_ configuration: JSON) -> JSON {
        var kept = JSON.Object()
        for (key, value) in configuration.objectValue ?? .init() where !places.contains(key) { kept[key] = value }
        return .object(kept)
    }

    /// - Parameters:
    ///   - info: of the checkpoint; one that a version saved which kept nothing of the configuration knows no changes.
    ///   - written: the configuration as it is now.
    ///   - effective: what it comes to; nil where nobody gathered that.
    init(since info: JSON, _ written: JSON, effective: JSON?) {
        guard let before = info[RunFolder.writtenKey]?.objectValue, let now = Self.recorded(written).objectValue else {
            changes = []
            return
        }
        let gone = before.map(\.key).filter { now[$0] == nil }
        // A key that is written with what it came to by itself has not changed.
        let then = effective == nil ? nil : info[RunFolder.effectiveKey]
        changes = (now.map(\.key) + gone).compactMap { key in
            let values = then.map { ($0[key], effective?[key]) } ?? (before[key], now[key])
            return Self.areSame(values.0 ?? .null, values.1 ?? .null) ? nil : (key, values.0, values.1)
        }
    }

    /// `lr 0.001 -> 0.0001, keep_last 3 (new)`; nil where nothing changed.
    var summary: String? {
        guard !changes.isEmpty else { return nil }
        return changes.map { key, before, now in
            switch (before, now) {
            case (let before?, let now?): "\(key) \(before.text()) -> \(now.text())"
            case (nil, let now?): "\(key) \(now.text()) (new)"
            default: "\(key) (left out)"
            }
        }.joined(separator: ", ")
    }

    /// Whether validation losses of before and of now are not over the same.
    /// - Parameter ownKeys: further keys that they do not hang on.
    func concernValidation(besides ownKeys: Set<String>) -> Bool {
        changes.contains { !Self.ofTraining.contains($0.key) && !ownKeys.contains($0.key) }
    }

    /// Whether two values say the same: numbers by their value, a key with nothing behind it as one that is left out.
    static func areSame(_ a: JSON, _ b: JSON) -> Bool {
        if let a = a.doubleValue, let b = b.doubleValue { return a == b }
        if let a = a.arrayValue, let b = b.arrayValue { return a.count == b.count && zip(a, b).allSatisfy(areSame) }
        guard let a = a.objectValue, let b = b.objectValue else { return a == b }
        return Set(a.map(\.key) + b.map(\.key)).allSatisfy { areSame(a[$0] ?? .null, b[$0] ?? .null) }
    }
}
