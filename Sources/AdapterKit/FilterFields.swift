import JSON
import Settings

/// Parameters that several filters have.
extension Fields {
    /// The side of the square in which a filter works: 224 where nothing is said, nil (written `null`) where it works
    /// in the image as it is.
    public mutating func resize(atLeast least: Int = 1) throws -> Int? {
        try nullable("resize", default: 224, .within(least...8192))
    }

    /// The range out of which a filter draws a number: two numbers, or the one number that it always is.
    public mutating func range(
        _ key: String, default fallback: ClosedRange<Double>, within bounds: ClosedRange<Double> = 0...1
    ) throws -> ClosedRange<Double> {
        let requirement = Requirement<OneOrMore<Double>>(
            "of one or two numbers from \(bounds.lowerBound) to \(bounds.upperBound), the lower first"
        ) {
            (1...2).contains($0.elements.count) && $0.elements.allSatisfy(bounds.contains)
                && $0.elements[0] <= $0.elements[$0.elements.count - 1]
        }
        guard let ends = try optional(key, requirement)?.elements else {
            settle(key, [.number(fallback.lowerBound), .number(fallback.upperBound)])
            return fallback
        }
        return ends[0]...ends[ends.count - 1]
    }

    /// The whole numbers out of which a filter draws one; one number alone is fixed.
    /// - Parameter phrase: what they have to be, such as "from 0 to 101".
    public mutating func choices(
        _ key: String, default fallback: [Int], _ phrase: String, where isPossible: @escaping (Int) -> Bool
    ) throws -> [Int] {
        let requirement = Requirement<OneOrMore<Int>>("\(phrase), at least one") {
            !$0.elements.isEmpty && $0.elements.allSatisfy(isPossible)
        }
        if let numbers = try optional(key, requirement)?.elements { return numbers }
        settle(key, .array(fallback.map(JSON.integer)))
        return fallback
    }
}

extension ClosedRange<Double> {
    /// The number that stands for a draw uniform in 0..<1.
    public func value(at draw: Double) -> Double { lowerBound + draw * (upperBound - lowerBound) }
}

extension [Int] {
    /// The element that stands for a draw uniform in 0..<1, of one or more.
    public func value(at draw: Double) -> Int { self[Swift.min(Int(draw * Double(count)), count - 1)] }
}
