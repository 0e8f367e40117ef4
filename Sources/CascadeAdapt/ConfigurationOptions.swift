import ArgumentParser
import Settings

/// The configuration that a run is made of.
struct ConfigurationOptions: ParsableArguments {
    @Argument(
        help: "The configuration, a YAML file, or the name of one that `configs` lists.",
        completion: .file(extensions: ["yaml", "yml"]))
    var configuration: String

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "Override a key of the configuration, given by its dotted path; the value is YAML. "
                + "Repeatable.", valueName: "key=value"))
    var overrides: [String] = []

    /// The configuration with its overrides.
    func setting() throws -> Setting {
        try Setting.read(configuration, for: .training, overriddenBy: overrides)
    }
}
