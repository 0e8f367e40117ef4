import Failures
import Settings
import Torch

/// Which optimizer a run steps its parameters with, and that optimizer's own values.
public enum OptimizerChoice: Sendable {
    /// Two moments in float32: 8 bytes a parameter.
    case adamW(AdamW.Configuration)
    /// Two moments in eight bits: a little more than 2 bytes a parameter.
    case adamW8bit(AdamW8bit.Configuration)
    /// Squares by rows and columns alone: next to nothing for a matrix.
    case adafactor(Adafactor.Configuration)
    /// Finds its learning rate: 16 bytes a parameter.
    case prodigy(Prodigy.Configuration)

    /// Makes it for the groups.
    /// - Parameter shared: what the groups' tensors are parts of, where processes share them.
    /// - Throws: a failure of the input where the optimizer cannot treat the groups as they ask.
    public func make(_ groups: [ParameterGroup], among shared: SharedTensors? = nil) throws -> any Optimizer {
        switch self {
        case .adamW(let configuration): try AdamW(groups, configuration: configuration)
        case .adamW8bit(let configuration): try AdamW8bit(groups, configuration: configuration, among: shared)
        case .adafactor(let configuration): try Adafactor(groups, configuration: configuration, among: shared)
        case .prodigy(let configuration): try Prodigy(groups, configuration: configuration, among: shared)
        }
    }

    /// What a configuration calls it.
    public var name: String {
        switch self {
        case .adamW: AdamW.name
        case .adamW8bit: AdamW8bit.name
        case .adafactor: Adafactor.name
        case .prodigy: Prodigy.name
        }
    }

    /// Whether a tensor's step hangs on that tensor alone, so that each can be taken by itself.
    public var stepsTensorByTensor: Bool {
        if case .prodigy = self { false } else { true }
    }

    /// Bytes of the state for a parameter of a shape.
    /// - Parameter processes: how many share it; rows and columns of squares are in each.
    public func stateBytes(_ shape: [Int], sharedBy processes: Int = 1) -> Int {
        let count = shape.reduce(1, *)
        let numbers: Int
        switch self {
        case .adamW: numbers = 8 * count
        case .adamW8bit(let configuration):
            numbers = count < configuration.leastElements ? 8 * count : 2 * (count + 4 * DynamicCode.blocks(count))
        case .adafactor(let configuration):
            numbers = (configuration.beta1 == nil ? 0 : 4 * count) + (shape.count < 2 ? 4 * count : 0)
        case .prodigy: numbers = 16 * count
        }
        return (numbers + processes - 1) / processes + 4 * summedNumbers(shape)
    }

    /// How many numbers of a parameter's step hang on all of it: sums that processes which share it make together.
    public func summedNumbers(_ shape: [Int]) -> Int {
        guard case .adafactor = self, shape.count >= 2 else { return 0 }
        let (count, rows, columns) = (shape.reduce(1, *), shape[shape.count - 2], shape[shape.count - 1])
        return count / max(1, columns) + count / max(1, rows)
    }
}

extension OptimizerChoice: SettingReadable {
    /// For messages about a configuration.
    public static var expectation: String { "an optimizer" }

    /// Reads a name, or a mapping with `name` and the values that the optimizer's source is made with.
    public static func read(_ setting: Setting) throws -> OptimizerChoice {
        try setting.choice(
            among: [
                AdamW.name: { .adamW(try AdamW.Configuration(&$0)) },
                AdamW8bit.name: { .adamW8bit(try AdamW8bit.Configuration(&$0)) },
                Adafactor.name: { .adafactor(try Adafactor.Configuration(&$0)) },
                Prodigy.name: { .prodigy(try Prodigy.Configuration(&$0)) },
            ])
    }
}

/// `betas`: two decays of running means.
private func betas(_ fields: inout Fields, default fallback: (Double, Double)) throws -> (Double, Double) {
    let requirement = Requirement<[Double]>("of two from 0 to below 1") {
        $0.count == 2 && $0.allSatisfy { $0 >= 0 && $0 < 1 }
    }
    let betas = try fields.value("betas", default: [fallback.0, fallback.1], requirement)
    return (betas[0], betas[1])
}

extension Requirement where Value == Double {
    /// What a running mean may keep of itself.
    fileprivate static var decay: Self { Self("from 0 to below 1") { $0 >= 0 && $0 < 1 } }
}

extension AdamW.Configuration {
    fileprivate init(_ fields: inout Fields) throws {
        self.init()
        betas = try Optimization.betas(&fields, default: betas)
        epsilon = try fields.value("eps", default: epsilon, .positive)
    }
}

extension AdamW8bit.Configuration {
    fileprivate init(_ fields: inout Fields) throws {
        self.init()
        moments = try AdamW.Configuration(&fields)
        leastElements = try fields.value("min_8bit_size", default: leastElements, .atLeast(1))
    }
}

extension Adafactor.Configuration {
    fileprivate init(_ fields: inout Fields) throws {
        self.init()
        let requirement = Requirement<[Double]>("that are two above 0") { $0.count == 2 && $0.allSatisfy { $0 > 0 } }
        let epsilons = try fields.value("eps", default: [gradientEpsilon, parameterEpsilon], requirement)
        (gradientEpsilon, parameterEpsilon) = (epsilons[0], epsilons[1])
        clipThreshold = try fields.value("clip_threshold", default: clipThreshold, .positive)
        decayRate = try fields.value("decay_rate", default: decayRate, Requirement("below 0") { $0 < 0 })
        beta1 = try fields.optional("beta1", .decay)
        scalesByParameter = try fields.value("scale_parameter", default: scalesByParameter)
        hasRelativeStep = try fields.value("relative_step", default: hasRelativeStep)
        warmsUp = try fields.value("warmup_init", default: warmsUp)
        guard hasRelativeStep || !warmsUp else {
            throw Failure.input(
                "`warmup_init` is given without `relative_step`", at: fields.setting["warmup_init"]?.place,
                expected: "both, or neither", advice: "`warmup_updates` warms up the learning rate")
        }
    }
}

extension Prodigy.Configuration {
    fileprivate init(_ fields: inout Fields) throws {
        self.init()
        betas = try Optimization.betas(&fields, default: betas)
        beta3 = try fields.optional("beta3", .decay)
        epsilon = try fields.value("eps", default: epsilon, .positive)
        d0 = try fields.value("d0", default: d0, .positive)
        dCoefficient = try fields.value("d_coef", default: dCoefficient, .positive)
        growthRate = try fields.value("growth_rate", default: growthRate, .atLeast(1))
        correctsBias = try fields.value("use_bias_correction", default: correctsBias)
        safeguardsWarmup = try fields.value("safeguard_warmup", default: safeguardsWarmup)
    }
}
