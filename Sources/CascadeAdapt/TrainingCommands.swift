import AdapterKit
import ArgumentParser
import Failures
import Telemetry
import Training

/// What a training command is given.
struct TrainingOptions: ParsableArguments {
    @OptionGroup var file: ConfigurationOptions

    @Option(help: "Stop after this many updates, counted from the start of the run.")
    var steps: Int?

    @Flag(help: "Check everything and print the plan, but do not train.")
    var dryRun = false

    @OptionGroup var data: PlannedDataOption

    @OptionGroup var processes: ProcessOptions

    @OptionGroup var machine: MachineOptions

    private func runOptions() throws -> RunOptions {
        if let steps, steps < 1 {
            throw Failure.input("--steps is out of range", expected: "at least 1", got: "\(steps)")
        }
        var options = RunOptions()
        options.group = dryRun ? nil : try processes.group()
        options.device = try machine.prepared(localRank: options.group?.place.localRank)
        options.seed = machine.seed
        options.shardAccess = machine.shardAccess
        options.steps = steps
        options.isDryRun = dryRun
        data.apply(to: &options, console(options))
        options.interruption = .signals
        return options
    }

    /// Of several processes the first speaks for all.
    private func console(_ options: RunOptions, isQuiet: Bool = false) -> Console {
        guard options.group?.rank ?? 0 == 0 else { return Console(isTerminal: false, isQuiet: true) { _ in } }
        return .standardError(isQuiet: machine.quiet || isQuiet)
    }

    /// Trains by a recipe and says how it ended. A dry run has loaded and checked what the recipe needs first, and then
    /// prints the plan.
    func run(_ type: any Recipe.Type, _ plugIns: PlugIns) throws {
        Interruption.endAtOnce()
        let setting = try file.setting()
        let (recipe, options, ended): (any Recipe, RunOptions, RunOutcome?)
        do {
            recipe = try type.init(setting, plugIns)
            if !dryRun { try processes.start() }
            options = try runOptions()
            // The plan says all that the recipe would say of itself.
            ended = try recipe.train(options, console(options, isQuiet: dryRun))
        } catch is ReportedByFirstProcess {
            throw ExitCode(2)
        } catch var failure as Failure where failure.place?.file == setting.place.file {
            let other = Recipes.recipe(for: setting, plugIns).name
            if other != type.name { failure.advice = "this configuration is one for `cascade-adapt \(other)`" }
            throw failure
        }
        let console = console(options)
        guard let outcome = ended else {
            let plan = try recipe.plan(options)
            try plan.requireComplete()
            for line in plan.lines { console.log(line) }
            return
        }
        guard outcome.isComplete else {
            console.log(
                outcome.updates == 0
                    ? "stopped before the first update was done"
                    : "stopped at update \(outcome.updates) and saved; the same command goes on from there")
            throw ExitCode(130)
        }
        guard options.group?.rank ?? 0 == 0 else { return }
        let results = Output(isQuiet: machine.quiet)
        if let report = outcome.validation { try results.result(report.summary) }
        try results.result(outcome.checkpoint)
    }
}

extension ValidationReport {
    /// One line for a person.
    var summary: String {
        func short(_ value: Double) -> String {
            let scaled = (value * 10000).rounded() / 10000
            return "\(scaled)"
        }
        let percent = (change / before * 1000).rounded() / 10
        let errors = standardError > 0 ? (abs(change) / standardError * 10).rounded() / 10 : 0
        var text = "validation loss over \(triples) triples: \(short(before)) before, \(short(after)) after "
        text += "(\(percent) %, \(errors) standard errors)"
        if let swapped { text += "; \(short(swapped.mean)) with the conditions of other images" }
        return text
    }
}

/// The command of a recipe.
struct TrainingCommand<Own: Recipe>: Action {
    static var configuration: CommandConfiguration {
        CommandConfiguration(commandName: Own.name, abstract: Own.abstract)
    }

    @OptionGroup var options: TrainingOptions

    func run(in context: Context) throws { try options.run(Own.self, context.plugIns) }
}

extension Recipe {
    /// The command that trains by the recipe.
    static var command: any ParsableCommand.Type { TrainingCommand<Self>.self }
}
