import ArgumentParser
import Failures
import Files
import Torch
import Weights

/// `cascade-miniature collect`.
struct CollectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "collect",
        abstract: "Lay the trained networks together as they are shipped: bfloat16, and 15 MB at most.")

    @Option(
        help: ArgumentHelp("The folder with encoder, previewer and towers.", valueName: "folder"),
        completion: .directory)
    var models: String

    @Option(
        name: .customLong("stage-c"), help: ArgumentHelp("The weights of the trained Stage C.", valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var stageC: String

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The folder to write to.", valueName: "folder"),
        completion: .directory)
    var output: String

    /// All files together, in bytes: history keeps every one of them for ever.
    private static let limit = 15_000_000

    private static let copied = [
        "effnet.safetensors", "previewer.safetensors", "clip-text/config.json", "clip-text/model.safetensors",
        "clip-image/config.json", "clip-image/model.safetensors",
    ]

    func run() throws {
        let others = try Self.copied.map { name in
            let place = path(name, in: models)
            guard fileExists(place) else {
                throw Failure.input(
                    "a network is not trained yet", at: .init(place),
                    advice: "train it with: cascade-miniature \(name.hasPrefix("clip") ? "towers" : "encoder")")
            }
            return (name: name, bytes: try readFile(place))
        }
        let file = try SafetensorsFile(stageC)
        let tensors = try file.entries.map { ($0.name, try file.required($0.name).to(dtype: .bfloat16)) }
        // With what it says of itself, such as what it predicts.
        let bytes = try SafetensorsWriter.bytes(tensors, metadata: file.metadata)
        let total = others.reduce(bytes.count) { $0 + $1.bytes.count }
        guard total <= Self.limit else {
            throw Failure.run(
                "the networks are too large to be shipped", at: .init(output), expected: "at most \(Self.limit) bytes",
                got: "\(total), of which Stage C \(bytes.count)")
        }
        try Folder.make(output)
        for (name, bytes) in others + [(name: "stage_c.safetensors", bytes: bytes)] {
            let place = path(name, in: output)
            try Folder.make(parentFolder(of: place))
            try writeAtomically(bytes, to: place)
        }
        print("\(output): \(others.count + 1) files, \(total) bytes")
    }
}
