import ArgumentParser
import Images
import JSON
import Shards
import Telemetry

/// `dataset pack FOLDER OUT.tar`: images and texts of one name become a WebDataset.
struct DatasetPack: Action {
    static let configuration = CommandConfiguration(
        commandName: "pack", abstract: "Pack a folder of images and texts into a WebDataset.",
        discussion: """
            NAME.jpg (or jpeg, jfif, jpe, png, webp, bmp) is packed with NAME.txt, NAME.json and NAME.caption. \
            Subfolders are included. Samples are sorted by name, and equal input gives equal bytes. Broken images \
            and texts that are not UTF-8 are left out and listed.

            With --shard-size or --shard-samples, OUT.tar becomes OUT-000000.tar, OUT-000001.tar and so on. The \
            shards appear together, when all are written, and no existing shard is replaced. A sample is never split \
            over two shards.
            """)

    @Argument(help: "The folder.", completion: .directory)
    var folder: String

    @Argument(help: "The tar to write.", completion: .file(extensions: ["tar"]))
    var out: String

    @Option(
        help: ArgumentHelp("The most bytes of a shard: 500MB, 1GB, 512MiB or a number of bytes.", valueName: "size"))
    var shardSize: ByteCount?

    @Option(help: ArgumentHelp("The most samples of a shard.", valueName: "count"))
    var shardSamples: Int?

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var overwriting: OverwriteOption

    @Flag(help: "No progress and no notes on standard error.")
    var quiet = false

    func validate() throws {
        if let shardSamples, shardSamples < 1 { throw ValidationError("--shard-samples is 1 or more") }
    }

    func run(in context: Context) throws {
        let console = Output(isQuiet: quiet)
        let limits = ShardLimits(bytes: shardSize?.bytes, samples: shardSamples)
        let bar = SharedBar("images", unit: "images", console: Console.standardError(isQuiet: quiet))
        let report = try packDataset(
            folder: folder, to: out, limits: limits,
            // Numbered shards take nobody's place.
            willRead: { if !limits.areNumbered { try overwriting.check([out], reading: $0) } },
            progress: bar.update
        ) { bytes, path in
            _ = try Image(decoding: bytes, name: path)
        }
        for problem in report.problems { console.note("left out: \(problem.path): \(problem.reason)") }
        let specification = report.specification(of: out, limits)
        if json {
            try console.result([
                "samples": .integer(report.samples),
                "webdataset_path": .string(specification),
                "shards": .array(
                    report.shards.map {
                        [
                            "path": .string($0.path), "samples": .integer($0.samples),
                            "bytes": .integer($0.bytes),
                        ]
                    }),
                "left_out": .array(
                    report.problems.map { ["path": .string($0.path), "reason": .string($0.reason)] }),
            ])
        } else {
            let left = report.problems.isEmpty ? "" : ", left out: \(report.reasons)"
            let shards = limits.areNumbered ? "\(report.shards.count) shards, " : ""
            try console.result("\(report.samples) samples in \(shards)\(specification)\(left)")
        }
    }
}
