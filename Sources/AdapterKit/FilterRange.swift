import Settings

extension Fields {
    /// The range from 0 to 1 out of which a filter draws a number: two numbers, or the one number that it always is.
    public mutating func range(_ key: String, default fallback: ClosedRange<Double>) throws -> ClosedRange<Double> {
        let requirement = Requirement<OneOrMore<Double>>("of one or two numbers from 0 to 1, the lower first") {
            (1...2).contains($0.elements.count) && $0.elements.allSatisfy((0...1).contains)
                && $0.elements[0] <= $0.elements[$0.elements.count - 1]
        }
        guard let ends = try optional(key, requirement)?.elements else { return fallback }
        return ends[0]...ends[ends.count - 1]
    }
}

extension ClosedRange<Double> {
    /// The number that stands for a draw uniform in 0..<1.
    public func value(at draw: Double) -> Double { lowerBound + draw * (upperBound - lowerBound) }
}
