import ArgumentParser

/// What the three training commands are given.
struct TrainingOptions: ParsableArguments {
    @Argument(help: "The configuration, a YAML file.", completion: .file(extensions: ["yaml", "yml"]))
    var configuration: String

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "Override a key, by its dotted path; the value is YAML. Repeatable.", valueName: "key=value"))
    var overrides: [String] = []

    @Option(help: "Stop after this many updates in all.")
    var steps: Int?

    @Flag(help: "Check everything, print the plan, train nothing.")
    var dryRun = false

    @OptionGroup var machine: MachineOptions
}

struct ControlNetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "controlnet", abstract: "Train a ControlNet on Stage C.")

    @OptionGroup var options: TrainingOptions
}

struct LoRACommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lora", abstract: "Train LoRA layers and learned tokens on Stage C.")

    @OptionGroup var options: TrainingOptions
}

struct FinetuneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune", abstract: "Train all of Stage C, or draw and train a new one.")

    @OptionGroup var options: TrainingOptions
}
