import ArgumentParser
import Cascade
import Failures
import Files
import JSON
import Layers
import Weights

/// `models quantise INPUT`: a frozen network's weights in fewer bits, written once.
struct ModelsQuantise: Action {
    static let configuration = CommandConfiguration(
        commandName: "quantise",
        abstract: "Quantise the weights of a frozen network to 8 or 4 bits.",
        discussion: """
            The matrices of the blocks of Stage C or Stage B, or of the layers of the text encoder, are quantised; \
            everything else is written in bfloat16. Use the result as `generator_checkpoint_path` or as the text \
            encoder: it is memory-mapped as it is and needs no `base_dtype`. Training a whole stage, merge and \
            extract need the original weights.
            """)

    @Argument(
        help: ArgumentHelp(
            "The weights, in any layout, or the folder of a text encoder, whose other files are "
                + "copied."), completion: .file()
    )
    var input: String

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The file to write, or for a folder the folder.", valueName: "path"), completion: .file())
    var output: String

    @Option(help: "The dtype of the matrices: int8 (a scale for each row) or nf4 (blocks of 64, as in QLoRA).")
    var baseDtype: BaseDType

    @Option(help: "The network, where the file holds several: stage-c, stage-b or clip-text.")
    var part: ModelPart?

    @OptionGroup var overwriting: OverwriteOption

    @Flag(help: "Print the result as a JSON line.")
    var json = false

    func validate() throws {
        if !baseDtype.isQuantised { throw ValidationError("--base-dtype takes int8 or nf4 here") }
        if let part, !part.hasBaseMatrices { throw ValidationError("--part takes stage-c, stage-b or clip-text") }
    }

    func run(in context: Context) throws {
        let isFolder = Folder.isFolder(input)
        if !isFolder && Folder.isFolder(output) {
            throw Failure.input("the output is a folder", at: .init(output), expected: "the file to write")
        }
        let path = isFolder ? "\(output)/model.safetensors" : output
        try overwriting.check([path], reading: [input])
        let quantised = try QuantisedFile(input, part: part, as: baseDtype)
        if isFolder {
            try Folder.make(output)
            for name in try Folder.names(input) where Self.isBesideWeights(name) {
                try writeAtomically(readFile("\(input)/\(name)"), to: "\(output)/\(name)")
            }
        }
        try quantised.write(to: path)
        if json {
            return try Output().result([
                "output": .string(path), "part": .string(quantised.part.rawValue),
                "base_dtype": .string(baseDtype.rawValue), "matrices": .integer(quantised.matrices),
                "bytes": .integer(quantised.bytes),
            ])
        }
        try Output().result(
            "\(quantised.part.description): \(quantised.matrices) matrices in \(baseDtype.rawValue), "
                + "\(quantised.bytes) bytes in \(path)")
    }

    /// Whether a file of a tower's folder is its configuration or vocabulary.
    private static func isBesideWeights(_ name: String) -> Bool {
        (name.hasSuffix(".json") && !name.contains(".index.")) || name.hasSuffix(".txt")
    }
}

extension ModelPart: ExpressibleByArgument {}
