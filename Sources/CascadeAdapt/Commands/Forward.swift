import ArgumentParser
import Cascade
import Failures
import Layers
import Settings
import Torch
import Weights

/// `forward MODULE`: one part on tensors from a file, to hold it against another implementation.
struct Forward: Action {
    static let configuration = CommandConfiguration(
        abstract: "Run one part of the model on tensors from a file, to compare implementations.",
        discussion: """
            Inputs and outputs are safetensors files. The weights may have any layout, in a file or a folder. An \
            architecture file has the constructor arguments of the reference; missing ones have the reference's \
            default. Dropout is off.
            """)

    @Argument(help: "The part to run.")
    var module: ForwardPart

    @Option(help: ArgumentHelp("The file of input tensors.", valueName: "file"), completion: .file())
    var inputs: String

    @Option(help: ArgumentHelp("The file to write the output tensors to.", valueName: "file"), completion: .file())
    var outputs: String

    @Option(
        help: ArgumentHelp(
            "The architecture: constructor arguments, YAML or "
                + "JSON.", valueName: "file"), completion: .file())
    var arch: String?

    @Option(help: ArgumentHelp("The weights, in any layout.", valueName: "file"), completion: .file())
    var weights: String?

    @Option(
        name: .customLong("adapter"), parsing: .singleValue,
        help: ArgumentHelp("An adapter to attach. Repeatable.", valueName: "file[:weight]"),
        completion: .file())
    var adapters: [AdapterReference] = []

    @Option(help: "The dtype of the weights, and of the computation where the machine is fast at it.")
    var dtype: ComputeType = .float32

    @Option(
        help: """
            The dtype of the matrices of Stage C, Stage B or the text encoder, as of a frozen base: bfloat16, int8 or \
            nf4 (default: as the other weights).
            """
    )
    var baseDtype: BaseDType?

    @OptionGroup var overwriting: OverwriteOption

    @Flag(
        help: """
            Also compute the loss against the given targets and its gradients, as grad.KEY; KEY is the name in the \
            weights, or that of an adapter in its native file.
            """)
    var gradients = false

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        let part = module.part
        try refuseWhatDoesNotApply()
        try overwriting.check(
            [outputs], reading: [inputs] + [arch, weights].compactMap(\.self) + adapters.map(\.path))
        let device = try machine.prepared()
        let request = ForwardRequest(
            inputs: ForwardInputs(try SafetensorsFile(inputs), device: device),
            arch: try arch.map { try Setting.read($0) },
            weights: try module.modelPart.flatMap { part in try weights.map { try read($0, part) } },
            adapters: adapters, dtype: dtype.dtype, baseDType: baseDtype, device: device, wantsGradients: gradients,
            seed: machine.seed ?? 0, output: machine.output, plugIns: context.plugIns)
        let results = try withGradients(enabled: gradients) { try part.run(request) }
        try SafetensorsWriter.write(results.map { ($0.name, try $0.tensor.detached().written()) }, to: outputs)
        machine.output.note("\(module.rawValue): \(results.count) tensors in \(outputs)")
    }

    /// The weights, which may be quantised where they are of a base that nothing trains.
    private func read(_ path: String, _ part: ModelPart) throws -> any NamedTensors {
        let isFrozen = part.hasBaseMatrices && (!gradients || !adapters.isEmpty)
        return try Checkpoint(path).tensors(of: part, mayBeQuantised: isFrozen)
    }

    private func refuseWhatDoesNotApply() throws {
        func refuse(_ option: String, unless parts: [ForwardPart]) throws {
            guard parts.contains(module) else {
                throw Failure.input(
                    "forward \(module.rawValue) takes no \(option)",
                    expected: "\(option) with " + parts.map(\.rawValue).joined(separator: " or "))
            }
        }
        if gradients { try refuse("--gradients", unless: [.stageC, .controlNet]) }
        if !adapters.isEmpty { try refuse("--adapter", unless: [.stageC, .clipText, .sample]) }
        if let baseDtype {
            try refuse("--base-dtype", unless: ForwardPart.allCases.filter { $0.modelPart?.hasBaseMatrices ?? false })
            if gradients && adapters.isEmpty {
                throw Failure.input(
                    "--base-dtype is of a frozen base, and --gradients asks for those of its weights",
                    expected: "--adapter, whose gradients there are beside it", got: baseDtype.rawValue)
            }
        }
        if weights != nil { try refuse("--weights", unless: ForwardPart.allCases.filter { $0.modelPart != nil }) }
    }
}

extension Tensor {
    /// What is written of a result: numbers in float32.
    fileprivate func written() throws -> Tensor { try dtype.isFloatingPoint ? to(dtype: .float32) : self }
}

/// The dtypes that `forward` computes in.
enum ComputeType: String, CaseIterable, ExpressibleByArgument {
    case float32, bfloat16

    var dtype: DType { self == .float32 ? .float32 : .bfloat16 }
}

/// The parts that `forward` runs.
enum ForwardPart: String, CaseIterable, ExpressibleByArgument {
    case stageC = "stage-c"
    case stageB = "stage-b"
    case stageAEncode = "stage-a-encode"
    case stageADecode = "stage-a-decode"
    case controlNet = "controlnet"
    case effNet = "effnet"
    case previewer
    case clipText = "clip-text"
    case clipVision = "clip-vision"
    case diffuse
    case sample

    /// The network whose weights it takes; nil where it takes none.
    var modelPart: ModelPart? {
        switch self {
        case .stageC, .sample: .stageC
        case .stageB: .stageB
        case .stageAEncode, .stageADecode: .stageA
        case .controlNet: .controlNet
        case .effNet: .effnet
        case .previewer: .previewer
        case .clipText: .clipText
        case .clipVision: .clipVision
        case .diffuse: nil
        }
    }

    var part: any ForwardModule {
        switch self {
        case .stageC: ForwardStageC()
        case .stageB: ForwardStageB()
        case .stageAEncode: ForwardStageA(way: .encode)
        case .stageADecode: ForwardStageA(way: .decode)
        case .controlNet: ForwardControlNet()
        case .effNet: ForwardEffNet()
        case .previewer: ForwardPreviewer()
        case .clipText: ForwardCLIPText()
        case .clipVision: ForwardCLIPVision()
        case .diffuse: ForwardDiffuse()
        case .sample: ForwardSample()
        }
    }
}
