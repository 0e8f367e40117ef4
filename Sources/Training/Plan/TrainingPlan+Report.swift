import JSON

extension TrainingPlan {
    /// For programs.
    public var json: JSON {
        [
            "recipe": .string(recipe),
            "experiment_id": .string(run.experimentID),
            "model_version": .string(run.modelVersion),
            "updates": .integer(updates),
            "steps": .integer(updates * run.accumulation),
            "batch_size": .integer(run.batchSize),
            "epochs": epochs.map(JSON.number) ?? .null,
            "parameters": [
                "trainable": .integer(trainable),
                "groups": .array(
                    groups.map { ["name": .string($0.name), "parameters": .integer($0.parameters)] }),
            ],
            "injection_points": .array(
                points.map {
                    [
                        "index": $0.index.map { .integer($0) } ?? .null, "name": .string($0.name),
                        "selected": .bool($0.isSelected),
                    ]
                }),
            "memory": [
                "bytes": .integer(memory.bytes),
                "mapped_bytes": .integer(memory.mapped),
                "pinned_bytes": .integer(memory.pinned),
                "loaded_bytes": .integer(memory.bytes(of: .loaded)),
                "optimizer_bytes": .integer(memory.bytes(of: .loaded) + memory.bytes(of: .optimizer)),
                "peak": .string(memory.peak.rawValue),
                "parts": .array(
                    memory.parts.map {
                        [
                            "name": .string($0.name), "bytes": .integer($0.bytes),
                            "mapped": .bool($0.isMapped), "from": .string($0.phase.rawValue),
                        ]
                    }),
            ],
            "processes": processes,
            "data": [
                "samples": .integer(data.samples),
                "kept": .integer(data.kept),
                "dropped": counts(data.read.drops.samples),
                "broken": counts(data.read.drops.broken),
                "shards": .integer(data.shards),
                "shards_read": .integer(data.read.shards),
                "sampled": .bool(data.isSampled),
                "decoded": .integer(data.read.decoded),
                "warnings": .array(warnings.map(JSON.string)),
            ],
            "missing": .array(
                missing.map {
                    [
                        "key": .string($0.key), "path": .string($0.path),
                        "command": $0.command.map(JSON.string) ?? .null,
                    ]
                }),
            "unknown": .array(unknown.map(JSON.string)),
        ]
    }

    /// What several processes send; null of one.
    private var processes: JSON {
        guard run.processes > 1 else { return .null }
        let network = NetworkCost(self)
        return [
            "count": .integer(run.processes),
            "sent_bytes": .integer(network.bytes),
            "sent": .array(network.parts.map { ["name": .string($0.name), "bytes": .integer($0.bytes)] }),
            "network_bits_per_second": .number(networkSpeed),
            "network_seconds": .number(network.seconds(at: networkSpeed)),
        ]
    }

    private func counts(_ counts: [String: Int]) -> JSON {
        var object = JSON.Object()
        for (reason, count) in counts.sorted(by: { $0.key < $1.key }) { object[reason] = .integer(data.ofAll(count)) }
        return .object(object)
    }

    /// What a run on this data should know.
    private var warnings: [String] { run.data.remarks(data.read.captions.found, of: data.read.kept) }

    private var dataLines: [String] {
        let read = data.read
        let lost = read.drops.isEmpty ? "" : "; left out\(data.isSampled ? " of what was read" : ""): \(read.drops)"
        var lines = ["\(data.kept) of \(data.samples) samples in \(data.shards) shards\(lost)"]
        if data.isSampled {
            lines[0] = "about " + lines[0]
            lines.append(
                "  \(read.samples) samples in \(read.shards) shards were read, the others are counted like them; "
                    + "--all-data reads all")
        }
        if read.decoded < read.kept {
            lines.append("  \(read.decoded) images were decoded, the others may be broken")
        }
        return lines + warnings.map { "warning: \($0)" }
    }

    /// For people.
    public var lines: [String] {
        var lines = ["\(run.experimentID): \(recipe) on \(run.modelVersion)"]
        lines.append("\(trainable) trainable parameters")
        if groups.count > 1 { lines += groups.map { "  \($0.name): \($0.parameters)" } }
        if !points.isEmpty {
            let selected = points.filter(\.isSelected)
            // Stage C of 3.6 billion parameters has 711 modules: then what is chosen is enough for a person.
            let shown = points.count <= 64 ? points : selected
            let note = points.count <= 64 ? "" : " (--json lists them all)"
            lines.append("\(selected.count) of \(points.count) injection points\(note):")
            lines += shown.map { "  \($0.isSelected ? "*" : " ") \($0.name)" }
        }
        lines += memoryLines
        if run.processes > 1 { lines += networkLines }
        lines.append(
            "\(updates) updates of \(run.batchSize) samples"
                + (run.accumulation > 1 ? " in \(run.accumulation) steps each" : "")
                + (epochs.map { ", \(($0 * 100).rounded() / 100) epochs" } ?? ""))
        lines += dataLines
        if run.stage == .c, run.clipImageModel == nil { lines.append(RecipeParts.noTower) }
        if let remark = run.values?.remark { lines.append(remark) }
        lines += remarks
        lines += unknown.map { "not known: \($0)" }
        lines += missing.map { item in
            "missing: \(item.key) \(item.path)" + (item.command.map { "; get it with: \($0)" } ?? "")
        }
        return lines
    }

    /// What several processes send.
    private var networkLines: [String] {
        let network = NetworkCost(self)
        let seconds = (network.seconds(at: networkSpeed) * 1000).rounded() / 1000
        return [
            "of \(run.processes) processes each sends \(Self.megabytes(network.bytes)) an update, which takes "
                + "\(seconds) s at \(networkSpeed / 1e9) Gbit/s"
        ] + network.parts.map { "  \($0.name): \(Self.megabytes($0.bytes))" }
    }

    /// What is taken from when on, and what for.
    private var memoryLines: [String] {
        let memory = memory
        var lines = [
            "about \(Self.megabytes(memory.bytes)) of memory, of them \(Self.megabytes(memory.mapped)) mapped files"
        ]
        if memory.pinned > 0 {
            lines.append("  beside it in host memory, pinned: \(Self.megabytes(memory.pinned))")
        }
        for phase in MemoryEstimate.Phase.allCases {
            let parts = memory.parts.filter { $0.phase == phase }
            let (what, bytes) =
                switch phase {
                case .loaded: ("loaded", memory.bytes(of: .loaded))
                case .optimizer: ("with the optimizer", memory.bytes(of: .loaded) + memory.bytes(of: .optimizer))
                case .update: ("at the peak of an update", memory.bytes(at: .update))
                case .preview: ("while a preview is made", memory.bytes(at: .preview))
                case .validation: ("while the validation loss is measured", memory.bytes(at: .validation))
                }
            if MemoryEstimate.Phase.moments.contains(phase), parts.isEmpty { continue }
            lines.append("  \(what): \(Self.megabytes(bytes))")
            lines += parts.map { "    \($0.name): \(Self.megabytes($0.bytes))\($0.isMapped ? ", mapped" : "")" }
        }
        return lines
    }

    static func megabytes(_ bytes: Int) -> String {
        bytes < 10_000_000_000
            ? "\((bytes + 500_000) / 1_000_000) MB" : "\((bytes + 50_000_000) / 100_000_000 * 100) MB"
    }
}
