import ArgumentParser
import Torch

/// What both trainings are told.
struct TrainingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder with train-*.tar and the tars of held-out images, as data/make.py makes it.",
            valueName: "folder"),
        completion: .directory)
    var data: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The folder to write to; a run that was killed goes on from what lies there.", valueName: "folder"),
        completion: .directory)
    var output: String

    @Option(help: "Updates; the recipe's number if left out.")
    var steps: Int?

    @Option(help: "Images of an update; the recipe's number if left out.")
    var batch: Int?

    @Option(help: "Seed of everything that is drawn.")
    var seed: UInt64 = 1

    @Option(help: "Threads that one operation may use; libtorch's choice if left out.")
    var threads: Int?

    func validate() throws {
        for (value, name, allowed) in [
            (steps, "steps", 1...10_000_000), (batch, "batch", 2...4096), (threads, "threads", 1...4096),
        ] {
            if let value, !allowed.contains(value) {
                throw ValidationError(
                    "--\(name) is out of range, expected \(allowed.lowerBound) to \(allowed.upperBound), got \(value)")
            }
        }
    }

    /// Sets the number of threads.
    func prepare() throws {
        if let threads { try Engine.shared().setThreads(threads) }
    }
}
