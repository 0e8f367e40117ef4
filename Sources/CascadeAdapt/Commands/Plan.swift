import ArgumentParser
import Failures
import Settings
import Training

/// `plan CFG`: what a run would do.
struct Plan: Action {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Say what a run would do: injection points, parameters, memory, data.",
        discussion: """
            Nothing is loaded: shapes are enough. Models that are not here are listed with the commands that get them. \
            The recipe is told by the configuration's keys.
            """)

    @Argument(help: "The configuration, a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var configuration: String

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "Override a key, by its dotted path; the value is YAML. Repeatable.", valueName: "key=value"))
    var overrides: [String] = []

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        var options = RunOptions()
        options.device = try machine.prepared()
        options.seed = machine.seed
        let setting = try overrides.reduce(Setting.read(configuration)) { try $0.overridden(by: $1) }
        let plan = try TrainingPlan(setting, options: options, plugIns: context.plugIns)
        if json {
            try machine.output.result(plan.json)
        } else {
            for line in plan.lines { try machine.output.result(line) }
        }
    }
}
