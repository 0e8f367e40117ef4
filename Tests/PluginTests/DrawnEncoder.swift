import Cascade
import Glibc
import Layers
import TestSupport
import Torch
import Weights

/// A file of the EffNet encoder with the weights that the golden `super_resolution` was made with.
enum DrawnEncoder {
    private static let name = "effnet.safetensors"

    /// The file's path; written at the first call and removed when the process ends.
    static func path() throws -> String { try made.get()[name] }

    private static let made: Result<Scratch, any Error> = Result {
        let folder = try Scratch()
        atexit { if case .success(let folder) = DrawnEncoder.made { folder.remove() } }
        let store = ParameterStore(from: try Golden("super_resolution").drawnParameters)
        _ = try EffNetEncoder(.init(), store.root)
        try SafetensorsWriter.write(store.tensors, to: folder[name])
        return folder
    }
}
