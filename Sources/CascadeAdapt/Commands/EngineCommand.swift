import ArgumentParser

/// `engine`: the libtorch that the program computes with.
struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine", abstract: "Get the libtorch that the program computes with.",
        subcommands: [EngineInstall.self])
}
