import Failures
import Layers
import Telemetry

/// A recipe with settings that go by the machine it runs on.
protocol SettledRecipe: Recipe {
    var run: RunConfiguration { get set }

    /// The plan but for the data, which have to be read.
    func networks(_ options: RunOptions) throws -> TrainingPlan

    /// Loads what is needed and trains, once everything that goes by the machine is settled.
    func trainSettled(_ options: RunOptions, _ console: Console) throws -> RunOutcome?
}

extension SettledRecipe {
    /// All that a run would do.
    func settledPlan(_ options: RunOptions) throws -> TrainingPlan {
        var remarks: [String] = []
        let fit = try fit(options)
        let recipe = try settled(fit, options) { remarks.append($0) }
        var plan = try recipe.networks(options)
        try plan.addData(options)
        plan.remarks += remarks
        if plan.run.processes > plan.run.batchSize {
            plan.remarks.append(
                "an update has fewer samples than there are processes: batch_size has to be at least \(plan.run.processes)"
            )
        }
        if let free = fit.free {
            // Of a run that fits no figures that are others a moment later.
            let count = plan.run.processes
            plan.remarks.append(
                fit.exceeds(plan.memory)
                    ? "does not fit into the \(TrainingPlan.megabytes(free)) that are free: "
                        + (try fit.advice(for: recipe.run))
                    : count > 1
                        ? "each process fits into the memory that is free here, all \(count) together "
                            + (fit.exceeds(plan.memory, times: count) ? "do not" : "do too")
                        : "fits into the memory that is free")
        }
        return plan
    }

    /// Trains with what the machine's memory holds.
    /// - Throws: a failure of the input, before anything is loaded, where it does not hold the run.
    func settledTraining(_ options: RunOptions, _ console: Console) throws -> RunOutcome? {
        let fit = try fit(options)
        let recipe = try settled(fit, options, console.log)
        // What is wrong with a file is told by what loads it.
        if let free = fit.free, let plan = try? recipe.networks(options), fit.exceeds(plan.memory) {
            throw Failure.input(
                "the run does not fit into the memory", at: run.places.batch,
                expected: "at most \(TrainingPlan.megabytes(free)), which are free",
                got: "about \(TrainingPlan.megabytes(plan.memory.needed))", advice: try fit.advice(for: recipe.run))
        }
        return try recipe.trainSettled(options, console)
    }

    private func fit(_ options: RunOptions) throws -> MemoryFit {
        MemoryFit(free: try options.sharedFreeMemory()) { run in
            var recipe = self
            recipe.run = run
            return try recipe.networks(options)
        }
    }

    /// The recipe with what is `auto` in its configuration settled by the free memory.
    /// - Parameter tell: told what was chosen, and why.
    private func settled(_ fit: MemoryFit, _ options: RunOptions, _ tell: (String) -> Void) throws -> Self {
        var recipe = self
        try run.checkOffload(on: options.device)
        recipe.run.share(among: options.group?.size ?? options.plannedProcesses, on: options.device)
        let run = recipe.run
        guard run.checkpointing == .auto || run.partsAreFound || run.baseIsFound else { return recipe }
        let settings = try fit.settings(for: recipe.run, base: run.baseIsFound ? run.baseSoFar : nil)
        recipe.run.settle(settings)
        var chosen: [String] = []
        if run.checkpointing == .auto { chosen.append("gradient_checkpointing: auto is \(settings.isCheckpointing)") }
        if run.partsAreFound { chosen.append("grad_accum_steps: auto is \(settings.parts)") }
        if run.baseIsFound { chosen.append("base_dtype: auto is \(settings.base?.rawValue ?? run.dtype.description)") }
        let needed = TrainingPlan.megabytes(try fit.plan(recipe.run).memory(of: recipe.run).needed)
        tell(
            chosen.joined(separator: ", ") + ": about \(needed), "
                + (fit.free.map {
                    "\(TrainingPlan.megabytes($0)) are free\(options.group == nil ? "" : " for each process")"
                }
                    ?? "and how much is free can't be told here"))
        return recipe
    }
}

extension RunConfiguration {
    /// What `base_dtype: auto` came to when the run began, which it keeps; nil where it has not begun.
    fileprivate var baseSoFar: BaseDType?? {
        guard let info = RunFolder.info(in: "\(checkpointPath)/\(experimentID)"),
            info[RunFolder.writtenKey]?["base_dtype"]?.stringValue == "auto",
            let kept = info[RunFolder.effectiveKey]?["base_dtype"]
        else { return nil }
        return .some(kept.stringValue.flatMap(BaseDType.init(rawValue:)))
    }
}
