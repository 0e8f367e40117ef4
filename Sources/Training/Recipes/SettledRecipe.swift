/// A recipe with settings that go by the machine it runs on.
protocol SettledRecipe: Recipe {
    var run: RunConfiguration { get set }

    /// The plan but for what the data take, which has to be read.
    func networks(_ options: RunOptions) throws -> TrainingPlan
}

extension SettledRecipe {
    /// All that a run would do.
    func settledPlan(_ options: RunOptions) throws -> TrainingPlan {
        var remarks: [String] = []
        var plan = try settled(options) { remarks.append($0) }.networks(options)
        plan.remarks += remarks
        try plan.addData(options)
        return plan
    }

    /// The recipe with `gradient_checkpointing: auto` settled: blocks are computed again where the estimate without, and a
    /// tenth more, is above the memory that is free, or that can't be told.
    /// - Parameter tell: told what was chosen, and why.
    func settled(_ options: RunOptions, _ tell: (String) -> Void) throws -> Self {
        guard run.checkpointing == .auto else { return self }
        var recipe = self
        recipe.run.settleCheckpointing(false)
        let memory = try recipe.networks(options).memory
        let needed = memory.bytes - memory.mapped
        let free = FreeMemory.bytes(on: options.device)
        let fits = free.map { Double(needed) * 1.1 <= Double($0) } ?? false
        recipe.run.settleCheckpointing(!fits)
        func size(_ bytes: Int) -> String { TrainingPlan.megabytes(bytes) }
        tell(
            "gradient_checkpointing: auto is \(!fits): about \(size(needed)) without it, "
                + (free.map { "\(size($0)) are free" } ?? "and how much is free can't be told here"))
        return recipe
    }
}
