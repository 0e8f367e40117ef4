import AdapterAlgebra
import AdapterKit
import ArgumentParser
import Cascade
import Failures
import Files
import JSON

/// `extract BASE TUNED`: a LoRA from the difference of two checkpoints.
struct Extract: Action {
    static let configuration = CommandConfiguration(
        abstract: "Make a LoRA of what was trained into a checkpoint of Stage C.",
        discussion: """
            For each module the difference of the two weights is approximated by the best matrix of the rank \
            (truncated singular value decomposition). Modules that do not differ are left out. How much of each \
            difference is kept, as a share of its squared norm, stands in the file under `energy`.
            """)

    @Argument(help: "Stage C as it was.", completion: .file())
    var base: String

    @Argument(help: "Stage C as it was trained.", completion: .file())
    var tuned: String

    @OptionGroup var result: LowRankOptions

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Parts of the paths of the modules to look at; attention (.attn.) and the residual blocks' products "
                + "(channelwise) if left out, where nearly all weights are.", valueName: "part"))
    var modules: [String] = []

    @Option(help: "Seed of the random directions that the decomposition begins with.")
    var seed: UInt64 = 0

    func run(in context: Context) throws {
        AlgebraStart.chooseKernels()
        let console = result.console
        var configuration = Extraction.Configuration(rank: try result.checkedRank())
        if !modules.isEmpty { configuration.moduleFilters = modules }
        configuration.seed = seed
        let (before, after) = try (Checkpoint(base), Checkpoint(tuned))
        let extraction = try Extraction(from: before, to: after, configuration) { done, of in
            if done % 32 == 0 || done == of { console.note("\(done) of \(of) modules") }
        }
        if !extraction.identical.isEmpty {
            console.note("\(extraction.identical.count) modules do not differ and are left out")
        }
        try extraction.write(
            to: result.output,
            base: BaseModel(
                name: before.size(of: .stageC) ?? "unknown",
                sha256: Folder.isFolder(base) ? "" : SHA256.hex(ofFile: base)))
        try result.report(extraction.modules, identical: extraction.identical)
    }
}

/// `resize LORA`: a LoRA of another rank.
struct Resize: Action {
    static let configuration = CommandConfiguration(
        abstract: "Bring a LoRA to another rank.",
        discussion: """
            Each module's product is approximated by the best one of the rank. How much of each is kept, as a share \
            of its squared norm, stands in the file under `energy`. A module of less than the rank keeps its own.
            """)

    @Argument(help: "The LoRA, in any format.", completion: .file())
    var lora: String

    @OptionGroup var reading: ReadingOptions

    @OptionGroup var result: LowRankOptions

    func run(in context: Context) throws {
        AlgebraStart.chooseKernels()
        let rank = try result.checkedRank()
        let file = try context.plugIns.open(lora, reading.reading())
        let resizing = try Resizing(of: file, context.plugIns.changes(in: file), to: rank)
        if let largest = resizing.modules.map(\.rank).max(), largest < rank {
            result.console.note("no module has more than rank \(largest): that is the rank of the file")
        }
        try resizing.write(to: result.output)
        try result.report(resizing.modules, identical: [])
    }
}

/// What `extract` and `resize` share: a rank, a file to write, a report.
struct LowRankOptions: ParsableArguments {
    @Option(help: "The rank of the LoRA.")
    var rank: Int

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var output: String

    @Flag(help: "Print a JSON line of what was kept of each module.")
    var json = false

    @Flag(help: "No notes on standard error.")
    var quiet = false

    var console: Output { Output(isQuiet: quiet) }

    func checkedRank() throws -> Int {
        guard (1...4096).contains(rank) else {
            throw Failure.input("--rank is out of range", expected: "1 to 4096", got: "\(rank)")
        }
        return rank
    }

    func report(_ modules: [LowRankModule], identical: [String]) throws {
        if json {
            try console.result([
                "output": .string(output), "energy": .number(modules.energy), "modules": modules.report,
                "identical": .array(identical.map(JSON.string)),
            ])
        } else {
            let share = (modules.energy * 1e4).rounded() / 1e2
            try console.result("\(modules.count) modules in \(output), \(share) % of the squared norm kept")
        }
    }
}
