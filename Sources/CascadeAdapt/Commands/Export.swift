import AdapterKit
import ArgumentParser
import Cascade
import Failures
import Files

/// `export RUN_OR_FILE`: an adapter alone, in any of the formats.
struct Export: Action {
    static let configuration = CommandConfiguration(
        abstract: "Write an adapter, of a run or a file, in the format of another program.",
        discussion: """
            native holds everything. stability is the format of the official code, kohya that of kohya's scripts, \
            comfyui what ComfyUI and OneTrainer read, diffusers that of diffusers with PEFT. The input may have any \
            of these formats; the options below supply what it does not contain.
            """)

    @Argument(help: "A run's folder (CHECKPOINT_PATH/EXPERIMENT_ID), or an adapter file.", completion: .file())
    var runOrFile: String

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var output: String

    @Option(help: "The format to write: native, stability, kohya, comfyui or diffusers.")
    var format: AdapterFormat = .native

    @OptionGroup var reading: ReadingOptions

    @OptionGroup var overwriting: OverwriteOption

    @Flag(help: "No notes on standard error.")
    var quiet = false

    func run(in context: Context) throws {
        let console = Output(isQuiet: quiet)
        let known = try reading.reading()
        let path = try adapterPath()
        let file = try context.plugIns.open(path, known)
        let export = try context.plugIns.export(file, as: format, known)
        try overwriting.check(export.paths(at: output), reading: [path] + reading.files)
        let written = try export.write(to: output)
        for note in export.notes { console.note(note) }
        if let licence = file.weights.metadata["base_licence"] { console.note("licence: \(licence)") }
        for (what, path, tensors) in written {
            try console.result("\(what) of \(tensors) tensors in \(path)")
        }
    }

    /// The adapter in a run's folder, or the file itself.
    private func adapterPath() throws -> String {
        guard Folder.isFolder(runOrFile) else { return runOrFile }
        let names = ["controlnet.safetensors", "lora.safetensors"]
        let found = names.filter { fileExists("\(runOrFile)/\($0)") }
        guard found.count == 1, let name = found.first else {
            throw Failure.input(
                found.isEmpty ? "there is no adapter in the run" : "there are two adapters in the folder",
                at: Failure.Place(runOrFile), expected: names.joined(separator: " or "),
                got: found.isEmpty ? nil : found.joined(separator: " and "),
                advice: found.isEmpty
                    ? "give CHECKPOINT_PATH/EXPERIMENT_ID of a controlnet or lora run that has saved"
                    : "give one of the two files")
        }
        return "\(runOrFile)/\(name)"
    }
}

extension AdapterFormat: ExpressibleByArgument {}
