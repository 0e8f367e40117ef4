import ArgumentParser
import Failures
import Files
import Weights

/// Whether a command may replace what it reads.
struct OverwriteOption: ParsableArguments {
    @Flag(help: "Allow the output to replace an input file. It is replaced as a whole or not at all.")
    var overwrite = false

    /// - Parameter inputs: files, indices of shards or folders of weights; what is not there is told when it is read.
    /// - Throws: a failure of the input where a file to write is one that is read, unless that was asked for.
    func check(_ outputs: [String], reading inputs: [String]) throws {
        let outputs = outputs.filter(fileExists)
        guard !overwrite, !outputs.isEmpty else { return }
        for input in inputs {
            let files = [input] + ((try? Tensors.files(at: input)) ?? [])
            for output in outputs where files.contains(where: { isSameFile($0, output) }) {
                throw Failure.input(
                    "the output would take the place of an input", at: .init(output),
                    expected: "a file that is not read", got: isSameFile(input, output) ? input : "a file of \(input)",
                    advice: "choose another name, or give --overwrite")
            }
        }
    }
}
