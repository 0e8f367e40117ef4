import AdapterKit
import ArgumentParser
import Cascade
import Failures
import Models
import Settings

/// The Stage C that a file belongs to, where the file fits no known one.
struct ArchitectureOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The Stage C that the files belong to, where it is not a known size: an architecture file, or "
                + "\(ModelSize.names(of: .stageC, last: ", ")) or \(Miniature.name).",
            valueName: "file"),
        completion: .file())
    var arch: String?

    func configuration() throws -> StageCConfiguration? {
        try arch.map { name in
            let name = name == Miniature.name ? Miniature.architectureFile() ?? name : name
            return try StageCConfiguration.known.first { $0.name == name }?.configuration
                ?? Setting.read(name).read(as: StageCConfiguration.self)
        }
    }
}

/// What an adapter file may not say of itself.
struct AdapterReadingOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The module_filters of the run, for a file without module names, such as .attn,channelwise",
            valueName: "filters"))
    var moduleFilters: String?

    @Option(
        name: .customLong("token"), parsing: .singleValue,
        help: ArgumentHelp(
            "The text of a learned token and the pattern that it started from, for a file that names neither. "
                + "Repeatable, in the order of the tokens.",
            valueName: "text=regex"))
    var tokens: [String] = []

    @Option(
        help: ArgumentHelp(
            "The residual blocks of a ControlNet, for a file that does not name them, such as "
                + "0,4,8.", valueName: "indices"))
    var blocks: String?

    func reading() throws -> AdapterReading {
        var reading = AdapterReading()
        reading.moduleFilters = moduleFilters?.split(separator: ",").map(String.init) ?? []
        reading.tokens = try tokens.map { text in
            guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
                throw Failure.input("--token cannot be read", expected: "TEXT=REGEX, or TEXT= for none", got: text)
            }
            let pattern = text[text.index(after: equals)...]
            return .init(text: String(text[..<equals]), pattern: pattern.isEmpty ? nil : String(pattern))
        }
        reading.controlNetBlocks = try (blocks?.split(separator: ",") ?? []).map { text in
            guard let index = Int(text), index >= 0 else {
                throw Failure.input("--blocks cannot be read", expected: "whole numbers between commas", got: "\(text)")
            }
            return index
        }
        return reading
    }
}

/// The same, with the networks that it may take.
struct ReadingOptions: ParsableArguments {
    @OptionGroup var arch: ArchitectureOption

    @OptionGroup var adapters: AdapterReadingOptions

    @Option(
        help: ArgumentHelp(
            "The text encoder that learned tokens were trained on, for a file without their starting "
                + "vectors.", valueName: "folder"),
        completion: .directory)
    var clipText: String?

    /// What these options name and is read.
    var files: [String] { [arch.arch, clipText].compactMap(\.self) }

    func reading() throws -> AdapterReading {
        var reading = try adapters.reading()
        reading.architecture = try arch.configuration()
        reading.text = try clipText.map { try TextEncoder.load(folder: $0) }
        return reading
    }
}
