import AdapterKit
import Failures
import JSON
import Torch

/// Writes kohya's layout: paths with underscores behind a prefix, alpha as a tensor of its own for each module.
struct KeyedWriting {
    /// What stands before the modules of Stage C and of the text tower.
    let stageC: String
    let text: String

    func write(_ modules: [LoRAModule], to export: inout AdapterExport) throws {
        for module in modules {
            let name = (module.isOfText ? text : stageC) + ModulePath.underscored(module.path)
            export.main.tensors += [
                ("\(name).lora_down.weight", try module.asStored(module.down, isKernel: true)),
                ("\(name).lora_up.weight", try module.asStored(module.up)),
                ("\(name).alpha", try .full([], module.alpha)),
            ]
        }
        // What kohya's scripts and viewers of its files look for.
        export.main.metadata["ss_network_module"] = "networks.lora"
        LoRAModule.describe(modules.map { ($0.path, $0.rank, $0.alpha) }) { name, value in
            if name == "rank" { export.main.metadata["ss_network_dim"] = value.text() }
            if name == "alpha" { export.main.metadata["ss_network_alpha"] = value.text() }
        }
        if let steps = export.steps { export.main.metadata["ss_steps"] = steps }
    }
}

/// Writes diffusers' names with PEFT's `lora_A` and `lora_B`.
///
/// The scale goes into `lora_B`, and alpha is the rank: then it is right in every program, those that look for the
/// configuration in the file's texts and those that don't.
enum PEFTWriting {
    /// - Throws: a failure of the input for a LoRA of depthwise kernels: PEFT's is a dense convolution beside them, with
    ///   rows by the square of the channels.
    static func write(_ modules: [LoRAModule], of file: AdapterFile, to export: inout AdapterExport) throws {
        if let kernels = modules.first(where: { $0.kernelSide != nil }) {
            throw Failure.input(
                "diffusers has no place for a LoRA of depthwise kernels", at: .init(file.path),
                got: "`\(kernels.path)`", advice: "kohya and comfyui have one")
        }
        for module in modules {
            let name = (module.isOfText ? "text_encoder." : "prior.") + ModulePath.diffusers(module.path)
            export.main.tensors += [
                ("\(name).lora_A.weight", try module.asStored(module.down)),
                ("\(name).lora_B.weight", try module.asStored(module.up.scaled(by: module.scale))),
            ]
        }
        export.main.metadata["format"] = "pt"
        var configuration = JSON.Object()
        for (prefix, part) in [
            ("prior.", modules.filter { !$0.isOfText }), ("text_encoder.", modules.filter(\.isOfText)),
        ] where !part.isEmpty {
            let ranks = part.map { (path: ModulePath.diffusers($0.path), rank: $0.rank, alpha: Double($0.rank)) }
            LoRAModule.describe(ranks) { name, value in
                let theirs = ["rank": "r", "alpha": "lora_alpha"][name] ?? name
                configuration[prefix + theirs] = name == "alpha" ? .integer(Int(value.doubleValue ?? 0)) : value
            }
            configuration[prefix + "target_modules"] = .array(ranks.map { .string($0.path) })
            configuration[prefix + "lora_dropout"] = 0
            configuration[prefix + "bias"] = "none"
        }
        export.main.metadata[PEFTScales.metadataKey] = JSON.object(configuration).text()
    }
}

extension LoRAModule {
    /// One of the two matrices in the shape in which the programs keep it.
    /// - Parameter isKernel: whether a depthwise module keeps its kernels in it.
    fileprivate func asStored(_ matrix: StoredTensor, isKernel: Bool = false) throws -> Tensor {
        let shape =
            switch kernelSide {
            case let side? where isKernel: [matrix.shape[0], 1, side, side]
            case nil where !ModulePath.isConvolution(path): matrix.shape
            default: matrix.shape + [1, 1]
            }
        return try matrix.reshaped(shape)().contiguous()
    }
}
