import Failures
import Layers
import Torch
import Weights

extension Previewer {
    /// The previewer in a file, its widths told from the tensors' shapes.
    public static func load(_ file: any NamedTensors, device: Device = .cpu) throws -> Previewer {
        let last = file.entries.filter { $0.name.hasSuffix(".weight") && $0.shape.count == 4 }.max {
            blockIndex($0.name) < blockIndex($1.name)
        }
        guard let first = file["blocks.0.weight"], first.shape.count == 4, let last else {
            throw Failure.input(
                "there is no previewer in the file", at: Failure.Place(file.path), expected: "keys `blocks.N.*`")
        }
        let store = ParameterStore(from: StoredParameters(file, ignoring: BatchStatistics.isCounter), device: device)
        let configuration = Configuration(inputs: first.shape[1], hidden: first.shape[0], outputs: last.shape[0])
        let previewer = try Previewer(configuration, store.root)
        try store.finish()
        return previewer
    }

    private static func blockIndex(_ key: String) -> Int {
        Int(key.dropFirst("blocks.".count).prefix { $0 != "." }) ?? -1
    }
}
