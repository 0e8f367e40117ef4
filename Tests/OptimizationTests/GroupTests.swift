import Failures
import Optimization
import Settings
import TestSupport
import Testing
import Torch

/// Groups, clipping over all of them, the running mean, and what a configuration says of optimizers.
@Suite struct GroupTests {
    @Test func `biases and norms do not decay`() throws {
        let shapes: [(String, [Int])] = [
            ("conv.weight", [4, 2, 3, 3]), ("norm.weight", [4]), ("conv.bias", [4]), ("grn.gamma", [1, 1, 1, 4]),
            ("grn.beta", [1, 1, 1, 4]), ("lora_down.weight", [1, 4]),
        ]
        let parameters = try shapes.map { (name: $0.0, tensor: try Tensor.zeros($0.1)) }
        let groups = ParameterGroup.decaying(parameters, by: 0.01, rateFactor: 2)
        #expect(groups.map(\.weightDecay) == [0.01, 0])
        #expect(groups.map(\.rateFactor) == [2, 2])
        #expect(groups[0].parameters.map(\.name) == ["conv.weight", "lora_down.weight"])
        #expect(groups.parameters.count == shapes.count)
        #expect(ParameterGroup.decaying([parameters[0]], by: 0.01).count == 1)
    }

    @Test func `the norm is over all groups, whatever way gradients lie in memory`() throws {
        let (a, b) = (try Tensor.zeros([40_000]), try Tensor.zeros([3, 5]))
        for tensor in [a, b] { try tensor.setRequiresGrad(true) }
        try a.setGradient(Tensor.full([40_000], 0.02))
        try b.setGradient(Tensor.full([5, 3], 2).transposed(0, 1))
        let groups = [ParameterGroup([("a", a)]), ParameterGroup([("b", b)])]
        // 40,000 * 0.0004 + 15 * 4
        let expected = 76.0.squareRoot()
        let (norm, scale) = try GradientClipping(limit: 2)(groups)
        #expect(abs(norm - expected) < 1e-6)
        #expect(abs(scale - 2 / expected) < 1e-6)
        #expect(try GradientClipping(limit: 10)(groups).scale == 1)
        #expect(try [ParameterGroup]().gradientNorm() == 0)
        // Where there is no kernel libtorch's operators do it.
        #expect(try Tensor.norm(of: [Tensor.full([9], 1, dtype: .bfloat16), Tensor.full([7], 1)]) == 4)
    }

    @Test func `the mean stands in for the weights and leaves them as they were`() throws {
        let weight = try Tensor([Float(1), 2])
        let average = try AveragedWeights(of: [("weight", weight)], .init(start: 0, every: 1, beta: 0.75))
        try weight.assign(Tensor([Float(5), 6]))
        try average.follow(update: 1)
        #expect(try average.withAverage { try weight.values(as: Float.self) } == [2, 3])
        #expect(try weight.values(as: Float.self) == [5, 6])
        struct Stop: Error {}
        #expect(throws: Stop.self) { try average.withAverage { throw Stop() } }
        #expect(try weight.values(as: Float.self) == [5, 6])
        #expect(try average.means[0].tensor.values(as: Float.self) == [2, 3])
    }

    @Test func `a state of other moments does not fit`() throws {
        let problem = try Problem()
        let whole = try AdamW(problem.groups())
        let quantised = try AdamW8bit(problem.groups())
        let state = Dictionary(uniqueKeysWithValues: whole.state.map { ($0.name, $0.tensor) })
        let failure = try expectedFailure { try quantised.restore(updates: 1) { state[$0] } }
        #expect(failure.blame == .input && failure.expected?.contains("uint8") == true)
    }

    @Test func `Adafactor's relative step rises and falls`() throws {
        let parameter = ("weight", try Tensor.full([2, 2], 1))
        var values = Adafactor.Configuration()
        values.hasRelativeStep = true
        let steady = try Adafactor([ParameterGroup([parameter])], configuration: values)
        values.warmsUp = true
        let warming = try Adafactor([ParameterGroup([parameter])], configuration: values)
        for (updates, plain, warm) in [(1, 0.01, 1e-6), (40, 0.01, 4e-5), (40_000, 0.005, 0.005)] {
            (steady.updates, warming.updates) = (updates, updates)
            #expect(abs(steady.effectiveRate(7) - plain) < 1e-12 && abs(warming.effectiveRate(7) - warm) < 1e-12)
        }
    }

    @Test func `prodigy takes one rate`() throws {
        let problem = try Problem()
        #expect(try expectedFailure { _ = try Prodigy(problem.groups(rateFactor: 0.5)) }.blame == .input)
    }

    @Test(arguments: [
        "adamw", "adamw_8bit", "adafactor", "prodigy", "{name: adamw, betas: [0.9, 0.95], eps: 1.0e-7}",
        "{name: adamw_8bit, betas: [0, 0.95], min_8bit_size: 1}",
        "{name: adafactor, eps: [1.0e-30, 0.01], clip_threshold: 2, decay_rate: -0.7, beta1: 0.9, scale_parameter: true}",
        "{name: adafactor, relative_step: true, warmup_init: true}",
        "{name: prodigy, d0: 1.0e-5, d_coef: 2, growth_rate: 1.02, use_bias_correction: true, safeguard_warmup: true}",
    ])
    func `an optimizer is made as it is written`(text: String) throws {
        let problem = try Problem()
        let choice: OptimizerChoice = try Setting.parse(text, file: "run.yaml").read()
        let optimizer = try choice.make(problem.groups())
        #expect(text.contains(optimizer.name))
        try problem.train(optimizer, 1...2)
        #expect(try problem.values().joined().allSatisfy(\.isFinite))
    }

    @Test(arguments: [
        "adam", "{name: adamw, beta: 1}", "{name: adamw, betas: [0.9]}", "{name: adamw, betas: [0.9, 1]}",
        "{name: adamw, eps: 0}", "{name: adafactor, warmup_init: true}", "{name: adafactor, decay_rate: 0.8}",
        "{name: prodigy, d0: 0}", "{name: prodigy, growth_rate: 0.5}", "[adamw]", "{}",
    ])
    func `what is no optimizer is refused at its place`(text: String) throws {
        let failure = try expectedFailure {
            let _: OptimizerChoice = try Setting.parse(text, file: "run.yaml").read()
        }
        #expect(failure.blame == .input && failure.place?.file == "run.yaml")
    }
}
