import Failures
import Layers
import Torch

/// Where a new ControlNet starts: the backbone of a trained EffNet, projections drawn from a seed.
///
/// The file is an EffNet checkpoint (`backbone.*`) or torchvision's own `efficientnet_v2_s` (`features.*`). A stem for
/// fewer than 3 channels takes the first of the file's, one for more takes the three and zeros.
public final class ControlNetStart: ParameterSource {
    private static let backbone = "backbone."
    private static let stem = "backbone.0.0.weight"
    private let stored: StoredParameters
    private let drawn: DrawnParameters

    /// - Throws: a failure of the input where the configuration has another backbone than EffNet or the file none.
    public init(
        _ configuration: ControlNetTrunk.Configuration, backbone checkpoint: Checkpoint, generator: Generator
    ) throws {
        let place = Failure.Place(checkpoint.file.path)
        guard configuration.bottleneckMode == .effnet else {
            throw Failure.input(
                "a `\(configuration.bottleneckMode.rawValue)` backbone starts from a seed and takes no file", at: place,
                expected: "bottleneck mode effnet")
        }
        let file = try checkpoint.parts.contains(.effnet) ? checkpoint.tensors(of: .effnet) : checkpoint.file
        let available = file.entries.map(\.name).filter { $0.hasPrefix(Self.backbone) }
        guard !available.isEmpty else {
            throw Failure.input(
                "there is no EfficientNetV2-S in the file", at: place,
                expected: "keys that begin with `backbone.` or `features.`")
        }
        stored = StoredParameters(
            name: file.path, available: available, ignoring: BatchStatistics.isCounter,
            storedName: file.storedName,
            lookUp: { key in
                let tensor = try file.tensor(key)
                return key == Self.stem ? try tensor?.stem(inputs: configuration.inputs) : tensor
            })
        drawn = DrawnParameters(generator)
    }

    /// Keys of the backbone from the file, all others drawn.
    public func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        let source: any ParameterSource = key.hasPrefix(Self.backbone) ? stored : drawn
        return try source.value(key, shape: shape, initial: initial)
    }

    /// - Throws: a failure of the input where the backbone's keys or shapes are not those of the file.
    public func finish() throws { try stored.finish() }
}

extension Tensor {
    /// A first convolution [out, 3, k, k] for another number of input channels, [out, inputs, k, k].
    fileprivate func stem(inputs: Int) throws -> Tensor {
        guard rank == 4, size(1) == 3, inputs != 3 else { return self }
        if inputs < 3 { return try sliced(1, 0..<inputs).contiguous() }
        return try padded([0, 0, 0, 0, 0, inputs - 3])
    }
}
