import ArgumentParser

/// `models`: files of weights.
struct Models: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make the models that a run needs.", subcommands: [ModelsDraw.self])
}
