import Layers
import Optimization

/// Chooses what saves memory by what is free, and says what would do where a run does not fit.
struct MemoryFit {
    /// Bytes that are free; nil where that can't be told.
    let free: Int?
    /// The plan of a run that differs in what its frozen networks are kept in; the rest may be another.
    let plan: (RunConfiguration) throws -> TrainingPlan

    // MARK: Settling

    /// What a run's settings that go by the memory come to: as large parts of a batch as fit; where not even the smallest
    /// does, checkpointing; where that is not enough, a quantised base. Where nothing fits, all of these.
    ///
    /// What is free may not be known: then blocks are computed again, and a batch is taken whole until an allocation fails.
    /// - Parameter base: what the run's base was kept in so far; nil where that is open.
    func settings(for run: RunConfiguration, base: BaseDType??) throws -> MemorySettings {
        let bases: [BaseDType?] =
            if let base { [base] } else { run.baseIsFound ? [nil, .int8, .nf4] : [run.baseDType] }
        let ways = run.checkpointing == .auto ? [false, true] : [run.isCheckpointing]
        guard free != nil else {
            return MemorySettings(isCheckpointing: ways.last ?? true, parts: run.accumulation, base: bases.first ?? nil)
        }
        var last = MemorySettings(isCheckpointing: run.isCheckpointing, parts: run.accumulation, base: run.baseDType)
        for base in bases {
            var other = run.with(MemorySettings(isCheckpointing: false, parts: 1, base: base))
            let plan = try plan(other)
            for isCheckpointing in ways {
                for parts in Self.parts(of: run) {
                    last = MemorySettings(isCheckpointing: isCheckpointing, parts: parts, base: base)
                    other = run.with(last)
                    if holds(plan.memory(of: other)) { return last }
                }
            }
        }
        return last
    }

    /// The numbers of parts that a batch may be taken in, the largest parts first.
    private static func parts(of run: RunConfiguration) -> [Int] {
        guard run.partsAreFound, !run.isFused else { return [run.accumulation] }
        return (1...run.batchSize).filter { run.batchSize % $0 == 0 }
    }

    /// Whether there is room for an estimate and a tenth more, by which it may be off.
    private func holds(_ memory: MemoryEstimate) -> Bool {
        free.map { Double(memory.needed) * 1.1 <= Double($0) } ?? true
    }

    /// Whether there can't be room, even where an estimate is a tenth too high.
    /// - Parameter count: of processes that take as much each.
    func exceeds(_ memory: MemoryEstimate, times count: Int = 1) -> Bool {
        free.map { Double(count * memory.needed) * 0.9 > Double($0) } ?? false
    }

    // MARK: Advice

    /// The smallest changes of a configuration with which the run would fit, as a configuration has them; where none would,
    /// the most that can be saved.
    func advice(for run: RunConfiguration) throws -> String {
        var (run, changes) = (run, Changes())
        var memory = try plan(run).memory(of: run)
        var savings = Self.savings(for: run)
        if run.previewSteps != 0 {
            // What goes first where that is enough, and else last.
            let without = run.with(.noPreviews)
            savings.insert(.noPreviews, at: try holds(plan(without).memory(of: without)) ? 0 : savings.endIndex)
        }
        for saving in [nil] + savings.map(Optional.some) {
            if let saving {
                run = run.with(saving)
                changes.add(saving)
            }
            let plan = try plan(run)
            for parts in (1...run.batchSize) where run.batchSize % parts == 0 && parts >= run.accumulation {
                if run.isFused, parts > 1 { break }
                memory = plan.memory(of: run.with(.parts(parts)))
                guard holds(memory) else { continue }
                if parts > run.accumulation { changes.add(.parts(parts)) }
                return "it would fit with \(changes.text)"
            }
        }
        return "it would not fit with \(changes.text) either, which take about "
            + "\(TrainingPlan.megabytes(memory.needed)): smaller images or another machine would do"
    }

    /// What an advice changes, the last word on each key.
    private struct Changes {
        private var keys: [(key: String, value: String)] = []

        mutating func add(_ saving: MemorySaving) {
            for change in saving.keys {
                keys.removeAll { $0.key == change.key }
                keys.append(change)
            }
        }

        var text: String { keys.map { "\($0.key): \($0.value)" }.joined(separator: ", ") }
    }

    /// What can be saved, the least of a change first; each comes to those before it.
    private static func savings(for run: RunConfiguration) -> [MemorySaving] {
        var savings: [MemorySaving] = run.isCheckpointing ? [] : [.checkpointing]
        guard run.trainsWhole else {
            if run.dtype.size > 2, run.baseDType == nil { savings.append(.halfBase) }
            if run.baseDType?.isQuantised != true { savings.append(.base(.int8)) }
            if run.baseDType != .nf4 { savings.append(.base(.nf4)) }
            return savings
        }
        let adafactor = OptimizerChoice.adafactor(.init())
        if case .adamW = run.optimizer { savings.append(.optimizer(.adamW8bit(.init()))) }
        if case .prodigy = run.optimizer { savings.append(.optimizer(.adamW8bit(.init()))) }
        if run.weightsDType.size > 2 { savings.append(.halfWeights) }
        if run.optimizer.name != adafactor.name { savings.append(.optimizer(adafactor)) }
        var batch = run.batchSize
        while !run.isFused || batch < run.batchSize {
            savings.append(.fusedSteps(batch: batch))
            if batch == 1 { break }
            batch /= 2
        }
        return savings
    }
}
