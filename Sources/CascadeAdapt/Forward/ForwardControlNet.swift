import AdapterKit
import Cascade
import Failures
import Layers
import Torch

/// `forward controlnet`: a condition to what each block of Stage C gets of it.
struct ForwardControlNet: ForwardModule {
    func run(_ request: ForwardRequest) throws -> [(name: String, tensor: Tensor)] {
        let configuration = try configuration(of: request)
        let targets: [ForwardInputs.Wanted] =
            request.wantsGradients
            ? configuration.blocks.map {
                .init(name: "target.\($0)", shape: ["B", .exactly(configuration.projected), "h", "w"])
            } : []
        let inputs = try request.inputs.read(
            [.init(name: "image", shape: ["B", .exactly(configuration.inputs), "H", "W"])] + targets)
        // Float32 in a bfloat16 run too, as in training: it is what is trained.
        let (trunk, store) = try request.network(ignoring: BatchStatistics.isCounter, dtype: .float32) {
            try ControlNetTrunk(configuration, $0)
        }
        try store.setTrainable(request.wantsGradients)
        let outputs = try trunk(inputs.required("image")).sorted { $0.key < $1.key }
        guard request.wantsGradients else { return outputs.map { ("cnet.\($0.key)", $0.value) } }

        let losses = try outputs.map { block, output in
            let target = try inputs.required("target.\(block)")
            guard target.shape == output.shape else {
                throw Failure.input(
                    "`target.\(block)` does not fit", expected: "shape \(output.shape)", got: "\(target.shape)")
            }
            return try output.to(dtype: .float32).meanSquaredError(to: target)
        }
        let loss = try losses.dropFirst().reduce(losses[0]) { try $0 + $1 }
        return try LossAndGradients(loss: loss, parameters: store.parameters).results()
    }

    /// The constructor values of the architecture file; without one, those that a native file of weights carries.
    private func configuration(of request: ForwardRequest) throws -> ControlNetTrunk.Configuration {
        let weights = try request.requiredWeights()
        guard var fields = try request.arch?.fields() else {
            return weights.metadata["format"] == AdapterFile.format
                ? try .init(describedIn: AdapterFile(weights)) : .init(blocks: ControlNetTrunk.standardBlocks)
        }
        let configuration = ControlNetTrunk.Configuration(
            inputs: try fields.value("c_in", default: 3), projected: try fields.value("c_proj", default: 2048),
            blocks: try fields.value("proj_blocks", default: ControlNetTrunk.standardBlocks),
            bottleneckMode: try fields.value("bottleneck_mode", default: .effnet),
            efficientNet: try EfficientNet.Configuration(&fields))
        try fields.finish()
        return configuration
    }
}

extension ControlNetTrunk {
    /// The reference's own `proj_blocks`.
    fileprivate static let standardBlocks = [0, 4, 8, 12, 51, 55, 59, 63]
}
