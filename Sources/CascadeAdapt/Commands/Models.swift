import ArgumentParser

/// `models`: files of weights.
struct Models: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Find, get and make the models that a run needs.",
        subcommands: [ModelsList.self, ModelsGet.self, ModelsDraw.self, ModelsQuantise.self])
}
