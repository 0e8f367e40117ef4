import ArgumentParser
import Cascade
import Failures
import JSON
import Loading
import Shards
import Telemetry
import Training

/// `dataset inspect PATH…`: what a run would find in its data.
struct DatasetInspect: Action {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Describe a dataset, and show what a run would leave out and why.",
        discussion: """
            Reads every sample as a training run would, and lists sizes, formats, aspect-ratio buckets and captions, \
            the samples that are left out by reason, and broken members and shards. A broken sample is counted and \
            is not an error: the status is 0.

            With --config, the paths, captions, filters, image size and aspect ratios of the configuration are used; \
            paths on the command line replace its own. Without it, the captions are the txt members.
            """)

    @Argument(
        help: ArgumentHelp(
            "Tars, folders of tars, brace ranges: everything that webdataset_path "
                + "accepts."), completion: .file())
    var paths: [String] = []

    @OptionGroup var choice: SampleChoice

    @OptionGroup var buckets: BucketOptions

    @Option(
        help: ArgumentHelp(
            "How many images to decode fully, to find broken ones: all, none, or a number, spread over the "
                + "shards. Of the others only the header is read.", valueName: "all|none|N"))
    var decode = DecodeLimit(count: nil)

    @Option(
        help: ArgumentHelp("Count the tokens of the captions with the tokenizer in this folder.", valueName: "folder"),
        completion: .directory)
    var tokenizer: String?

    @Option(
        help: ArgumentHelp(
            "Write up to 64 of the remaining images, cropped to their buckets, with their captions (in ASCII; "
                + "--json has the full text).", valueName: "out.png"),
        completion: .file(extensions: ["png", "jpg", "jpeg"]))
    var sheet: String?

    @Option(help: "The seed that chooses the images of the sheet.")
    var seed: UInt64 = 1

    @OptionGroup var overwriting: OverwriteOption

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "No progress on standard error.")
    var quiet = false

    func run(in context: Context) throws {
        let console = Console.standardError(isQuiet: quiet)
        let configuration = try choice.configuration()
        let shards = try resolveShards(
            shardPaths(configuration), access: configuration?.access(console.shardAccess) ?? console.shardAccess)
        let contactSheet = try sheet.map { path in
            try overwriting.check([path], reading: [choice.path].compactMap(\.self) + shards.flatMap(\.files))
            try Sheet.checkPath(path)
            return ContactSheet(seed: seed)
        }
        var survey = DatasetSurvey(reading: try choice.reading(configuration), decodeLimit: decode.count)
        survey.minImageSize = configuration?.minImageSize
        survey.texts = configuration?.newTokens ?? []
        survey.buckets = try buckets.buckets(configuration)
        if let tokenizer {
            let tokenizer = try CLIPTokenizer(folder: tokenizer)
            survey.countTokens = tokenizer.count
        }
        let progress = CountProgress("samples", console: console)
        survey.progress = { samples, _ in progress.update(samples) }
        let report = survey.report(on: shards, sheet: contactSheet)
        progress.finish()

        let cells = contactSheet?.cells ?? []
        let summary = DatasetSummary(
            report, buckets: survey.buckets?.buckets ?? [], cells: cells,
            warnings: configuration?.remarks(report.captions.found, of: report.kept) ?? [])
        let output = Output(isQuiet: quiet)
        if json {
            try output.result(summary.json)
        } else {
            for line in summary.lines { try output.result(line) }
        }
        guard let sheet, let contactSheet else { return }
        if cells.isEmpty {
            output.note("no sheet is written: there is no image to show")
        } else {
            try Sheet(contactSheet).drawn().write(to: sheet)
            output.note("\(sheet) shows \(cells.count) of \(report.kept) images")
        }
    }

    private func shardPaths(_ configuration: DataConfiguration?) throws -> [String] {
        if !paths.isEmpty { return paths }
        guard let configuration else {
            throw Failure.input(
                "no data is named", expected: "the path of a tar or of a folder of tars, or --config with one in it")
        }
        return configuration.webdatasetPath
    }
}

/// `all`, `none`, or how many.
struct DecodeLimit: ExpressibleByArgument, CustomStringConvertible {
    /// Nil for all.
    let count: Int?

    init(count: Int?) { self.count = count }

    init?(argument: String) {
        switch argument {
        case "all": count = nil
        case "none": count = 0
        default:
            guard let number = Int(argument), number >= 0 else { return nil }
            count = number
        }
    }

    var description: String { count.map { $0 == 0 ? "none" : "\($0)" } ?? "all" }
    var defaultValueDescription: String { description }
}
