import ArgumentParser
import Failures
import Telemetry
import Training

/// `plan CFG`: what a run would do.
struct Plan: Action {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "Show what a run would do: injection points, parameters, memory, data.",
        discussion: """
            No weights are loaded; their shapes are enough. Missing models are listed with the commands that \
            download them. The kind of run is known from the keys of the configuration. Of a dataset with more than \
            16 shards, 16 are read and the totals are estimates.
            """)

    @OptionGroup var file: ConfigurationOptions

    @OptionGroup var data: PlannedDataOption

    @Option(
        help: ArgumentHelp(
            "For how many processes that train together; the figures are then those of each.", valueName: "n"))
    var processes = 1

    @Option(help: ArgumentHelp("Of the network between processes.", valueName: "Gbit/s"))
    var network = 10.0

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        var options = RunOptions()
        options.device = try machine.prepared()
        options.seed = machine.seed
        guard (1...65536).contains(processes) else {
            throw Failure.input("--processes is out of range", expected: "1 to 65536", got: "\(processes)")
        }
        guard network > 0, network.isFinite else {
            throw Failure.input("--network is out of range", expected: "more than 0 Gbit/s", got: "\(network)")
        }
        (options.plannedProcesses, options.networkSpeed) = (processes, network * 1e9)
        options.shardAccess = machine.shardAccess
        data.apply(to: &options, Console.standardError(isQuiet: machine.quiet))
        let setting = try file.setting()
        let plan = try Recipes.recipe(for: setting, context.plugIns).init(setting, context.plugIns).plan(options)
        if json {
            try machine.output.result(plan.json)
        } else {
            for line in plan.lines { try machine.output.result(line) }
        }
    }
}
