import ArgumentParser
import Images
import JSON
import Shards

/// `dataset`: what has to do with training data.
struct Dataset: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Prepare training data.", subcommands: [DatasetPack.self])
}

/// `dataset pack FOLDER OUT.tar`: pictures and texts of one name become a WebDataset.
struct DatasetPack: Action {
    static let configuration = CommandConfiguration(
        commandName: "pack", abstract: "Pack a folder of pictures and texts into a WebDataset tar.",
        discussion: """
            NAME.jpg (or jpeg, png, webp) goes with NAME.txt and NAME.json; subfolders count too. Names are sorted, \
            and equal content gives equal bytes. Broken pictures and texts that are not UTF-8 are left out and listed.
            """)

    @Argument(help: "The folder.", completion: .directory)
    var folder: String

    @Argument(help: "The tar to write.", completion: .file(extensions: ["tar"]))
    var out: String

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "No notes on standard error.")
    var quiet = false

    func run(in context: Context) throws {
        let console = Output(isQuiet: quiet)
        let report = try packDataset(folder: folder, to: out) { bytes, path in
            _ = try Picture(decoding: bytes, name: path)
        }
        for problem in report.problems { console.note("left out: \(problem.path): \(problem.reason)") }
        if json {
            try console.result([
                "samples": .integer(Int64(report.samples)),
                "left_out": .array(
                    report.problems.map { ["path": .string($0.path), "reason": .string($0.reason)] }),
            ])
        } else {
            let left = report.problems.isEmpty ? "" : ", left out: \(report.reasons)"
            try console.result("\(report.samples) samples in \(out)\(left)")
        }
    }
}
