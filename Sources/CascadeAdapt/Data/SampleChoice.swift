import ArgumentParser
import Cascade
import Expressions
import Failures
import Images
import Settings
import Shards
import Training

/// Which samples of a dataset stay: by a configuration, and by filters beside it.
struct SampleChoice: ParsableArguments {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "A training configuration, a YAML file, or the name of one that `configs` lists.", valueName: "cfg"),
        completion: .file(extensions: ["yaml", "yml"]))
    var path: String?

    @Option(
        name: .customLong("filter"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A dataset filter: a field of the JSON, or several as a,b, and a condition such as 'lambda a, b: a > b'. "
                + "Repeatable.", valueName: "key lambda"))
    var filters: [FilterArgument] = []

    func configuration() throws -> DataConfiguration? {
        try path.map { try DataConfiguration(Setting.read($0, for: .training)) }
    }

    func reading(_ configuration: DataConfiguration?) throws -> SampleReading {
        var reading = configuration?.reading ?? SampleReading()
        reading.filters += try filters.map { try $0.filter() }
        return reading
    }
}

/// `--filter KEY LAMBDA`: two arguments that the parser is given as one.
struct FilterArgument: ExpressibleByArgument {
    private let parts: [Substring]

    /// What no argument of a process can hold.
    private static let separator: Character = "\0"

    init(argument: String) {
        parts = argument.split(separator: Self.separator, omittingEmptySubsequences: false)
    }

    func filter() throws -> SampleFilter {
        let place = Failure.Place("--filter")
        let fields = parts[0].split(separator: ",", omittingEmptySubsequences: false).map { field in
            String(field.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
        }
        guard parts.count == 2, !fields.contains("") else {
            throw Failure.input(
                "a filter is a field, or several with commas between them, and a condition", at: place,
                expected: "such as width,height 'lambda w, h: w > h'", got: parts.joined(separator: " "))
        }
        return try SampleFilter(fields: fields, condition: Lambda(String(parts[1]), at: place), at: place)
    }

    /// The arguments with each `--filter` and the two behind it as the parser takes them.
    static func joined(_ arguments: [String]) -> [String] {
        guard arguments.starts(with: ["dataset", "inspect"]) else { return arguments }
        var result: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            result.append(argument)
            if argument == "--" { break }
            guard argument == "--filter", rest.count >= 2 else { continue }
            result.append(rest.prefix(2).joined(separator: String(separator)))
            rest = rest.dropFirst(2)
        }
        return result + rest
    }
}

/// The buckets of a dataset that is looked at: a configuration's, or those of the official configurations.
struct BucketOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The image size: each bucket has the area of a square of this side (default: the configuration's, or "
                + "768).", valueName: "pixels"))
    var size: Int?

    @Option(
        help: ArgumentHelp(
            "Aspect ratios, width over height, separated by commas (default: the configuration's, or those of the "
                + "official configurations).", valueName: "a/b,…"))
    var ratios: String?

    private static let officialRatios =
        "1/1,1/2,1/3,2/3,3/4,1/5,2/5,3/5,4/5,1/6,5/6,9/16"

    func buckets(_ configuration: DataConfiguration?) throws -> AspectBuckets {
        let given = try ratios.map(Self.ratios)
        let ratios = try given ?? configuration?.aspectRatios ?? Self.ratios(Self.officialRatios)
        return try AspectBuckets(
            size: size ?? configuration?.imageSize ?? 768, ratios: ratios,
            step: configuration?.stride ?? EffNetEncoder.Configuration().stride)
    }

    private static func ratios(_ list: String) throws -> [Double] {
        try list.split(separator: ",", omittingEmptySubsequences: false).map {
            try AspectBuckets.ratio(parsing: String($0))
        }
    }
}
