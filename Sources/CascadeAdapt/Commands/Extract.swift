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
        abstract: "Extract a LoRA from a fine-tuned Stage C.",
        discussion: """
            For each module, the difference of the two weights is approximated by the best matrix of the given rank \
            (truncated singular value decomposition). Modules without a difference are left out. The file records, \
            as shares of the squared norm, how much of each difference is kept (`energy`) and how much of the whole \
            difference (`energy_of_all`), which includes tensors that are not extracted.
            """)

    @Argument(help: "Stage C before training.", completion: .file())
    var base: String

    @Argument(help: "Stage C after training.", completion: .file())
    var tuned: String

    @OptionGroup var result: LowRankOptions

    @OptionGroup var arch: ArchitectureOption

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Parts of the paths of the modules to extract (default: attention, .attn.; the residual blocks' linear "
                + "layers, "
                + "channelwise; the mappers, mapper; these hold nearly all weights).", valueName: "part"
        ))
    var modules: [String] = []

    @Option(help: "Seed of the randomised decomposition.")
    var seed: UInt64 = 0

    func run(in context: Context) throws {
        AlgebraStart.chooseKernels()
        let console = result.console
        var configuration = Extraction.Configuration(rank: try result.checkedRank())
        if !modules.isEmpty { configuration.moduleFilters = modules }
        configuration.seed = seed
        configuration.architecture = try arch.configuration()
        try result.overwriting.check([result.output], reading: [base, tuned] + [arch.arch].compactMap(\.self))
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
        if !extraction.rest.unpaired.isEmpty {
            console.note(
                "\(extraction.rest.unpaired.count) tensors have no counterpart of their shape and are left out, such as "
                    + "`\(extraction.rest.unpaired[0])`")
        }
        try result.report(extraction.modules, of: extraction)
    }
}

/// `resize LORA`: a LoRA of another rank.
struct Resize: Action {
    static let configuration = CommandConfiguration(
        abstract: "Change the rank of a LoRA.",
        discussion: """
            Each module's update is approximated by the best one of the given rank. The file records how much of \
            each is kept, as a share of the squared norm (`energy`). A module of lower rank keeps its own.
            """)

    @Argument(help: "The LoRA, in any format.", completion: .file())
    var lora: String

    @OptionGroup var reading: ReadingOptions

    @OptionGroup var result: LowRankOptions

    func run(in context: Context) throws {
        AlgebraStart.chooseKernels()
        let rank = try result.checkedRank()
        try result.overwriting.check([result.output], reading: [lora] + reading.files)
        let file = try context.plugIns.open(lora, reading.reading())
        let resizing = try Resizing(of: file, context.plugIns.changes(in: file), to: rank)
        if let largest = resizing.modules.map(\.rank).max(), largest < rank {
            result.console.note("no module has more than rank \(largest): that is the rank of the file")
        }
        try resizing.write(to: result.output)
        try result.report(resizing.modules)
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

    @OptionGroup var overwriting: OverwriteOption

    @Flag(help: "Print how much of each module was kept, as a JSON line.")
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

    /// - Parameter extraction: what the modules came from; nil where they are all there was.
    func report(_ modules: [LowRankModule], of extraction: Extraction? = nil) throws {
        if json {
            var report: JSON.Object = .init()
            report["output"] = .string(output)
            report["energy"] = .number(modules.energy)
            report["modules"] = modules.report
            report["identical"] = .array((extraction?.identical ?? []).map(JSON.string))
            if let extraction {
                report["energy_of_all"] = .number(extraction.energyOfAll)
                report["rest"] = extraction.rest.report
            }
            return try console.result(.object(report))
        }
        try console.result("\(modules.count) modules in \(output), \(percent(modules.energy)) of the squared norm kept")
        guard let rest = extraction?.rest, let extraction, let most = rest.tensors.first else { return }
        try console.result(
            "\(percent(extraction.energyOfAll)) of the whole difference: \(rest.tensors.count) tensors that were not "
                + "looked at differ too, most of all \(most.name)")
    }

    private func percent(_ share: Double) -> String { "\((share * 1e4).rounded() / 1e2) %" }
}
