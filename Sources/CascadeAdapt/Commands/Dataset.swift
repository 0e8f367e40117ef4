import ArgumentParser

/// `dataset`: what has to do with training data.
struct Dataset: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Pack and inspect training data.", subcommands: [DatasetPack.self, DatasetInspect.self])
}
