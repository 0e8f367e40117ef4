import Optimization
import TestSupport
import Testing
import Torch

/// The golden's five parameters and their gradients of fifty updates, as write_optimizers.py describes them.
struct Problem {
    static let names = ["matrix", "kernel", "vector", "row", "scalar"]
    static let updates = 50

    let golden: Golden
    let device: Device
    /// By `names`.
    let parameters: [Tensor]
    private let noise: [Tensor]
    private let factors: [Float]
    private let rates: [Double]

    /// - Parameter isEven: with the matrix' noise of one magnitude in all rows.
    init(isEven: Bool = false) throws {
        let (golden, device) = (try Golden("optimizers"), try testDevice())
        func made(_ key: String) throws -> Tensor {
            try #require(golden.tensors[key], "\(key)").made().to(device: device)
        }
        (self.golden, self.device) = (golden, device)
        parameters = try Self.names.map { try made("start.\($0)") }
        noise = try Self.names.map { name in
            let noise = try made("noise.\(name)")
            guard isEven && name == "matrix" else { return noise }
            return try noise / Operator("aten::abs")(.tensor(noise)).mean([-1], keepingDimensions: true)
        }
        factors = try #require(golden.tensors["factor"]).floats
        rates = try #require(golden.tensors["lr"]).floats.map(Double.init)
        for parameter in parameters { try parameter.setRequiresGrad(true) }
    }

    /// Matrix and kernel decay, the others do not.
    func groups(rateFactor: Double = 1) -> [ParameterGroup] {
        let named = zip(Self.names, parameters).map { (name: $0, tensor: $1) }
        return [
            ParameterGroup(Array(named[..<2]), weightDecay: 0.1),
            ParameterGroup(Array(named[2...]), rateFactor: rateFactor),
        ]
    }

    struct Run {
        var isClipped = true
        /// Whether rates are divided by their largest.
        var isUnit = false
        var after: (Int) throws -> Void = { _ in }
    }

    /// Does updates with the optimizer.
    func train(_ optimizer: any Optimizer, _ updates: ClosedRange<Int> = 1...Problem.updates, _ run: Run = Run()) throws
    {
        for update in updates {
            for (parameter, noise) in zip(parameters, noise) {
                let drawn = try noise.selected(0, (update - 1) % 3) * Double(factors[update - 1])
                try parameter.setGradient(drawn + parameter.detached() * 0.1)
            }
            let rate = rates[update - 1] / (run.isUnit ? rates.max() ?? 1 : 1)
            let scale = run.isClipped ? try GradientClipping(limit: 1)(optimizer.groups).scale : 1
            try optimizer.step(learningRate: rate, gradientScale: scale)
            try run.after(update)
        }
        try optimizer.clearGradients()
    }

    /// The largest distance of a parameter from the golden's, relative to how far that one has come.
    func distance(to part: String, of tensors: [Tensor]? = nil) throws -> Double {
        try zip(Self.names, tensors ?? parameters).map { name, tensor in
            let theirs = try #require(golden.tensors["\(part).\(name)"]).made()
            let start = try #require(golden.tensors["start.\(name)"]).made()
            let ours = try tensor.detached().to(device: .cpu)
            return try (ours - theirs).norm().item() / (theirs - start).norm().item()
        }.max() ?? .infinity
    }

    func values() throws -> [[Float]] { try parameters.map { try $0.values() } }
}
