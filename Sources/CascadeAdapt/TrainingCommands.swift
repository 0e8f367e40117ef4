import AdapterKit
import ArgumentParser
import Failures
import Settings
import Telemetry
import Training

/// What the three training commands are given.
struct TrainingOptions: ParsableArguments {
    @OptionGroup var file: ConfigurationOptions

    @Option(help: "Stop after this many updates in all.")
    var steps: Int?

    @Flag(help: "Check everything, print the plan, train nothing.")
    var dryRun = false

    @OptionGroup var machine: MachineOptions

    private func runOptions() throws -> RunOptions {
        if let steps, steps < 1 {
            throw Failure.input("--steps is out of range", expected: "at least 1", got: "\(steps)")
        }
        var options = RunOptions()
        options.device = try machine.prepared()
        options.seed = machine.seed
        options.shardAccess = machine.shardAccess
        options.steps = steps
        options.isDryRun = dryRun
        options.interruption = .signals
        return options
    }

    /// Runs a recipe and says how it ended. A dry run has loaded and checked what the recipe needs first, and then
    /// prints the plan.
    func run(
        as kind: RecipeKind, _ plugIns: PlugIns,
        _ recipe: (Setting, RunOptions, Console) throws -> RunOutcome?
    ) throws {
        Interruption.endAtOnce()
        let console = Console.standardError(isQuiet: machine.quiet)
        let (setting, options) = (try file.setting(), try runOptions())
        // The plan says all that the recipe would say of itself.
        let recipeConsole = Console.standardError(isQuiet: machine.quiet || options.isDryRun)
        let ended: RunOutcome?
        do {
            ended = try recipe(setting, options, recipeConsole)
        } catch var failure as Failure where failure.place?.file == setting.place.file {
            let other = RecipeKind(of: setting)
            if other != kind { failure.advice = "this configuration is one for `cascade-adapt \(other.rawValue)`" }
            throw failure
        }
        guard let outcome = ended else {
            let plan = try TrainingPlan(setting, recipe: kind, options: options, plugIns: plugIns)
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
        var text = "held-out loss over \(triples) triples: \(short(before)) before, \(short(after)) after "
        text += "(\(percent) %, \(errors) standard errors)"
        if let swapped { text += "; \(short(swapped.mean)) with the conditions of other pictures" }
        return text
    }
}

struct ControlNetCommand: Action {
    static let configuration = CommandConfiguration(
        commandName: "controlnet", abstract: "Train a ControlNet on Stage C.")

    @OptionGroup var options: TrainingOptions

    func run(in context: Context) throws {
        try options.run(as: .controlnet, context.plugIns) {
            try ControlNetRecipe.run($0, options: $1, plugIns: context.plugIns, console: $2)
        }
    }
}

struct LoRACommand: Action {
    static let configuration = CommandConfiguration(
        commandName: "lora", abstract: "Train LoRA layers and learned tokens on Stage C.")

    @OptionGroup var options: TrainingOptions

    func run(in context: Context) throws {
        try options.run(as: .lora, context.plugIns) {
            try LoRARecipe.run($0, options: $1, plugIns: context.plugIns, console: $2)
        }
    }
}

struct FinetuneCommand: Action {
    static let configuration = CommandConfiguration(
        commandName: "finetune", abstract: "Train all of Stage C or Stage B, or draw and train a new one.")

    @OptionGroup var options: TrainingOptions

    func run(in context: Context) throws {
        try options.run(as: .finetune, context.plugIns) { setting, options, console in
            try FinetuneRecipe.run(setting, options: options, console: console)
        }
    }
}
