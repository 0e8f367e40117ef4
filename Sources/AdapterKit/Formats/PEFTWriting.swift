import Failures
import JSON

/// Writes diffusers' names with PEFT's ends, such as `lora_A` and `lora_B`.
///
/// The scale goes into a matrix, and alpha is the rank: then it is right in every program, those that look for the
/// configuration in the file's texts and those that don't.
enum PEFTWriting<Method: ModuleMethod> {
    /// - Throws: a failure of the input for a method that PEFT lacks, and for depthwise kernels: PEFT's LoRA of those is
    ///   a dense convolution beside them, with rows by the square of the channels.
    static func write(_ modules: [ModuleMatrices], of file: AdapterFile, to export: inout AdapterExport) throws {
        guard let names = Method.peft else {
            throw Failure.input(
                "diffusers has no place for \(Method.title)", at: .init(file.path),
                advice: "kohya and comfyui have one")
        }
        if let kernels = modules.first(where: { $0.shape.kernelSide != nil }) {
            throw Failure.input(
                "diffusers has no place for a \(Method.title) of depthwise kernels", at: .init(file.path),
                got: "`\(kernels.path)`", advice: "kohya and comfyui have one")
        }
        for module in modules {
            let name = (module.isOfText ? "text_encoder." : "prior.") + ModulePath.diffusers(module.path)
            for (matrix, tensor) in zip(Method.matrices, module.tensors) {
                let scaled = matrix.carriesScale ? tensor.scaled(by: module.scale) : tensor
                export.main.tensors.append(
                    ("\(name).\(matrix.peftKeys[0])", try module.asStored(scaled, matrix, holdsKernels: false)))
            }
        }
        export.main.metadata["format"] = "pt"
        export.main.metadata[PEFTScales.metadataKey] = configuration(of: modules, names).text()
    }

    /// The configuration of both networks, as diffusers keeps it.
    private static func configuration(of modules: [ModuleMatrices], _ names: PEFTNames) -> JSON {
        var configuration = JSON.Object()
        for (prefix, part) in [
            ("prior.", modules.filter { !$0.isOfText }), ("text_encoder.", modules.filter(\.isOfText)),
        ] where !part.isEmpty {
            let ranks = part.map { module in
                (path: ModulePath.diffusers(module.path), rank: module.rank, alpha: Double(module.rank ?? 1))
            }
            ModuleMatrices.describe(ranks) { name, value in
                let theirs = ["rank": "r", "alpha": names.alpha][name] ?? name
                configuration[prefix + theirs] = name == "alpha" ? .integer(Int(value.doubleValue ?? 0)) : value
            }
            configuration[prefix + "target_modules"] = .array(ranks.map { .string($0.path) })
            configuration[prefix + names.dropout] = 0
            configuration[prefix + "bias"] = "none"
        }
        return .object(configuration)
    }
}
