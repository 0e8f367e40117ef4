import ArgumentParser

/// `models`: files of weights.
struct Models: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, download and prepare models.",
        subcommands: [ModelsList.self, ModelsGet.self, ModelsDraw.self, ModelsQuantise.self])
}
