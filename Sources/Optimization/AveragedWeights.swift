import Failures
import Settings
import Torch

/// A running mean of trained weights, in float32 beside them.
///
/// At each update whose number divides by `every`, the mean takes a part of the weights as they are then; up to update
/// `start` it is a copy of them. Source: the reference's ema_start_iters, ema_iters and ema_beta, counted in updates.
public final class AveragedWeights {
    /// When the mean is updated, and by how much.
    public struct Configuration: Equatable, Sendable {
        /// The last update up to which the mean is a copy.
        public var start: Int
        /// Updates between two of the mean.
        public var every: Int
        /// The part of the mean that stays.
        public var beta: Double

        /// By the reference's values, every hundredth update takes a tenth of the weights in.
        public init(start: Int, every: Int = 100, beta: Double = 0.9) {
            self.start = start
            self.every = every
            self.beta = beta
        }
    }

    /// When the mean is updated, and by how much.
    public let configuration: Configuration
    private let weights: [(name: String, tensor: Tensor)]
    /// The means by the weights' names.
    public let means: [(name: String, tensor: Tensor)]

    /// Begins with a copy of the weights.
    public init(of weights: [(name: String, tensor: Tensor)], _ configuration: Configuration) throws {
        self.configuration = configuration
        self.weights = weights
        means = try weights.map { ($0.name, try $0.tensor.detached().to(dtype: .float32).cloned()) }
    }

    /// Takes in the weights as an update has left them.
    /// - Parameter update: counted from 1.
    public func follow(update: Int) throws {
        guard update % configuration.every == 0 else { return }
        if update > configuration.start {
            let share = 1 - configuration.beta
            if isExchangeExact {
                return try Tensor.interpolate(
                    means.map(\.tensor), to: weights.map { try $0.tensor.detached() }, weight: share)
            }
            for (mean, weight) in zip(means, weights) {
                try Tensor.interpolate(
                    [mean.tensor], to: [weight.tensor.detached().to(dtype: .float32)], weight: share)
            }
        } else {
            try copyWeights()
        }
    }

    /// Makes the mean a copy of the weights.
    public func copyWeights() throws {
        for (mean, weight) in zip(means, weights) { try mean.tensor.assign(weight.tensor.detached()) }
    }

    /// Whether weights can hold the means without rounding them.
    private var isExchangeExact: Bool { weights.allSatisfy { $0.tensor.dtype == .float32 } }

    /// Runs `body` with the means in place of the weights, which are as they were afterwards. Weights of bfloat16 take the
    /// means' nearest, and a copy of them waits meanwhile.
    public func withAverage<Result>(_ body: () throws -> Result) throws -> Result {
        guard isExchangeExact else {
            let kept = try weights.map { try $0.tensor.detached().cloned() }
            for (mean, weight) in zip(means, weights) { try weight.tensor.assign(mean.tensor) }
            let result = Swift.Result { try body() }
            for (value, weight) in zip(kept, weights) { try weight.tensor.assign(value) }
            return try result.get()
        }
        try exchange()
        let result: Result
        do {
            result = try body()
        } catch {
            try exchange()
            throw error
        }
        try exchange()
        return result
    }

    /// Takes one tensor's room at a time.
    private func exchange() throws {
        for (mean, weight) in zip(means, weights) {
            let weights = try weight.tensor.detached().cloned()
            try weight.tensor.assign(mean.tensor)
            try mean.tensor.assign(weights)
        }
    }
}

extension AveragedWeights.Configuration {
    /// Reads `ema_start_iters`, without which there is no mean, `ema_iters` and `ema_beta`.
    public static func read(_ fields: inout Fields) throws -> Self? {
        let start: Int? = try fields.optional("ema_start_iters", .atLeast(0))
        let every: Int? = try fields.optional("ema_iters", .atLeast(1))
        let beta: Double? = try fields.optional("ema_beta", .within(0...1))
        guard let start else {
            guard every == nil && beta == nil else {
                let key = every == nil ? "ema_beta" : "ema_iters"
                throw Failure.input(
                    "`\(key)` is given without `ema_start_iters`", at: fields.setting[key]?.place,
                    expected: "the update from which weights are averaged", advice: "0 averages from the first on")
            }
            return nil
        }
        var configuration = Self(start: start)
        configuration.every = try fields.value("ema_iters", default: configuration.every)
        configuration.beta = try fields.value("ema_beta", default: configuration.beta)
        return configuration
    }
}
