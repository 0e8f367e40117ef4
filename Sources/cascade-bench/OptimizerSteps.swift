import Failures
import JSON
import Optimization
import Settings
import Torch

/// Steps of an optimizer over 50 million parameters, each after clipping by the global norm.
struct OptimizerSteps {
    /// As in a configuration.
    var optimizer = "adamw"
    var steps = 9
    var threads: Int?
    var device = Device.cpu

    /// Twelve matrices of 2048 x 2048, and what small tensors a network has beside them.
    static let shapes = (0..<12).flatMap { _ in [[2048, 2048], [2048], [2048]] }

    init(_ arguments: inout ArraySlice<String>) throws {
        if let name = arguments.first, !name.hasPrefix("--") { optimizer = arguments.removeFirst() }
        while let option = arguments.popFirst() {
            guard let value = arguments.popFirst() else { throw Failure.input("\(option) lacks its value") }
            switch option {
            case "--steps": steps = max(1, Int(value) ?? steps)
            case "--threads": threads = Int(value)
            case "--device": device = try Device(parsing: value)
            default: throw Failure.input("unknown option", got: option)
            }
        }
    }

    /// - Returns: one line of figures.
    func run() throws -> JSON {
        if let threads { try Engine.shared().setThreads(threads) }
        let choice: OptimizerChoice = try Setting.parse(optimizer, file: "optimizer").read()
        let generator = try Generator(seed: 1)
        let parameters = try Self.shapes.enumerated().map { index, shape in
            (name: "\(index)", tensor: try generator.normal(shape, device: device))
        }
        let gradients = try Self.shapes.map { try generator.normal($0, device: device) * 0.01 }
        for (_, tensor) in parameters { try tensor.setRequiresGrad(true) }
        let stepper = try choice.make(ParameterGroup.decaying(parameters, by: 0.01))
        let clip = GradientClipping(limit: 1)
        var seconds: [Double] = []
        for index in 0..<(steps + 2) {
            for (parameter, gradient) in zip(parameters, gradients) {
                try parameter.tensor.setGradient(gradient.cloned())
            }
            try Engine.shared().synchronize(device)
            let began = monotonicSeconds()
            try stepper.step(learningRate: 1e-4, gradientScale: clip(stepper.groups).scale)
            try Engine.shared().synchronize(device)
            // The first two touch the state for the first time.
            if index >= 2 { seconds.append(monotonicSeconds() - began) }
        }
        return [
            "what": "optimizer step, cascade-adapt", "optimizer": .string(choice.name),
            "seconds": .number(seconds.sorted()[seconds.count / 2]),
            "parameters": .integer(parameters.reduce(0) { $0 + $1.tensor.count }),
            "state_bytes": .integer(stepper.state.reduce(0) { $0 + $1.tensor.byteCount }),
            "threads": .integer(try Engine.shared().threads),
        ]
    }
}
