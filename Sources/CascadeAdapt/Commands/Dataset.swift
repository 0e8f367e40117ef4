import ArgumentParser

/// `dataset`: what has to do with training data.
struct Dataset: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prepare training data and look at it.", subcommands: [DatasetPack.self, DatasetInspect.self])
}
