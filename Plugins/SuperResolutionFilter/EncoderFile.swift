import Cascade
import Failures
import Files
import Synchronization
import Torch

/// The EffNet encoder of a file, brought into memory when it is first needed.
///
/// Several threads may use it: the networks' passes only read their parameters.
final class EncoderFile: @unchecked Sendable {
    private let path: String?
    private let place: Failure.Place?
    private let loading = Mutex(())
    /// Written once, while `loading` is held.
    private var encoder: EffNetEncoder?

    /// - Parameter path: the file that is named; nil takes the official one where it lies.
    init(_ path: String?, at place: Failure.Place?) {
        self.path = path
        self.place = place
    }

    /// The path of the file.
    /// - Throws: a failure of the input where there is none, with the command that gets it.
    func found() throws -> String {
        let official = "models/effnet_encoder.safetensors"
        let known = KnownModel.all.first { $0.place == "effnet_encoder.safetensors" }
        if let path, fileExists(path) || Folder.isFolder(path) { return path }
        if path == nil, let here = known.flatMap({ ModelPlaces().path(of: $0) }) { return here }
        throw Failure.input(
            "there is no file for the weights of the EffNet encoder, `effnet_checkpoint_path` of SREffnetFilter",
            at: place, expected: "a file of weights", got: path ?? "\(official) and the hub's cache, which lack it",
            advice: KnownModel.command(toGet: path ?? official).map { "get it with: \($0)" }
                ?? "check the path; it is taken from the folder the command runs in")
    }

    /// Stage C's latents of pictures [B, 3, H, W] in 0...1.
    func latents(of pictures: Tensor) throws -> Tensor {
        try loading.withLock { _ in
            if encoder == nil { encoder = try EffNetEncoder.load(Checkpoint(found()).tensors(of: .effnet)) }
        }
        guard let encoder else { throw Failure.run("the EffNet encoder has not been loaded") }
        return try withoutGradients { try encoder.encode(EffNetEncoder.normalised(pictures)) }
    }
}
