import Failures
import Settings

extension Fields {
    /// Two numbers, the first below the second.
    /// - Parameter limits: what they must lie within; infinite ones allow infinity.
    mutating func range(
        _ key: String, default fallback: ClosedRange<Double>, within limits: ClosedRange<Double>? = nil
    ) throws -> ClosedRange<Double> {
        let phrase = "of two, ascending" + (limits.map { " within \($0.lowerBound) and \($0.upperBound)" } ?? "")
        let fits = Requirement<[Double]>(phrase) { ends in
            ends.count == 2 && ends[0] < ends[1] && ends.allSatisfy { limits?.contains($0) ?? $0.isFinite }
        }
        let ends: [Double] = try value(key, default: [fallback.lowerBound, fallback.upperBound], fits)
        return ends[0]...ends[1]
    }

    /// A table of variances by time, under `x` and `y`.
    mutating func varianceTable() throws -> VarianceTable {
        let (times, variances): ([Double], [Double]) = try (required("x"), required("y"))
        return try placed { try VarianceTable(times: times, variances: variances) }
    }

    /// Stable Diffusion's table.
    mutating func stableDiffusionTable() throws -> VarianceTable {
        let betas = try range("linear_range", default: 0.00085...0.012, within: 0...1)
        let steps = try value("total_steps", default: 1000, .within(1...1_000_000))
        return try placed { try .stableDiffusion(betas: betas, steps: steps) }
    }

    /// Gives failures without a place that of these fields.
    private func placed<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            return try body()
        } catch var failure as Failure {
            failure.place = failure.place ?? setting.place
            throw failure
        }
    }
}
