import Failures
import Layers
import Torch
import Weights

extension StageA {
    /// Stage A in a file, its widths told from the tensors' shapes and its scale factor the published one.
    public static func load(_ file: any NamedTensors, device: Device = .cpu) throws -> StageA {
        let store = ParameterStore(from: StoredParameters(file, ignoring: BatchStatistics.isCounter), device: device)
        let stageA = try StageA(.init(of: file), store.root)
        try store.finish()
        return stageA
    }
}

extension StageAConfiguration {
    /// The constructor values that the shapes of a file's tensors tell.
    /// - Throws: a failure of the input where the file holds no Stage A.
    public init(of file: any NamedTensors) throws {
        func indices(_ prefix: String, _ ending: String) -> [Int] {
            file.entries.compactMap { entry in
                guard entry.name.hasPrefix(prefix), entry.name.hasSuffix(ending) else { return nil }
                return Int(entry.name.dropFirst(prefix.count).dropLast(ending.count))
            }
        }
        // Each level has a block on the way in; on the way out the innermost has the bottleneck's instead of one.
        let levels = indices("down_blocks.", ".gammas").count
        let blocks = indices("up_blocks.", ".gammas").count
        guard let first = file["up_blocks.0.0.weight"], first.shape.count >= 2, levels > 0, blocks >= levels - 1,
            let codebook = file["vquantizer.codebook.weight"], codebook.shape.count == 2
        else {
            throw Failure.input(
                "there is no Stage A in the file", at: Failure.Place(file.path),
                expected: "keys `down_blocks.N.gammas`, `up_blocks.*` and `vquantizer.codebook.weight`")
        }
        self.init()
        self.levels = levels
        bottleneckBlocks = blocks - (levels - 1)
        hidden = first.shape[0]
        latentChannels = first.shape[1]
        codebookSize = codebook.shape[0]
        try check()
    }
}
