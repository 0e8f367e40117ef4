import AdapterKit
import ArgumentParser
import Failures
import Files
import Weights

/// `export RUN_OR_FILE`: an adapter alone, in a file of its own.
struct Export: Action {
    static let configuration = CommandConfiguration(
        abstract: "Write the adapter of a run, alone, to a file that says what it is.")

    @Argument(help: "A run's folder (CHECKPOINT_PATH/EXPERIMENT_ID), or an adapter file.", completion: .file())
    var runOrFile: String

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var output: String

    @Option(help: "The format to write: native.")
    var format: Format = .native

    @Flag(help: "No notes on standard error.")
    var quiet = false

    enum Format: String, CaseIterable, ExpressibleByArgument {
        case native
    }

    func run(in context: Context) throws {
        let console = Output(isQuiet: quiet)
        let file = try AdapterFile(adapterPath())
        let tensors = try file.weights.entries.map { ($0.name, try file.weights.required($0.name)) }
        try SafetensorsWriter.write(tensors, metadata: file.weights.metadata, to: output)
        if let licence = file.weights.metadata["base_licence"] {
            console.note("licence: \(licence)")
        }
        try console.result("\(file.kinds.joined(separator: ", ")) of \(tensors.count) tensors in \(output)")
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
