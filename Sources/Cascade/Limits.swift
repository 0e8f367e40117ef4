import Failures
import Torch

/// Bounds on what a configuration may declare, so that a mistyped size is an error and not an allocation.
enum Limits {
    /// Channels, heads' and tables' widths; published networks stay below a fourth of it.
    static let width = 65_536
    static let layers = 1_024

    /// - Throws: a failure of the input that names the key.
    static func check(_ value: Int, _ key: String, _ allowed: ClosedRange<Int>, at place: Failure.Place? = nil) throws {
        guard allowed.contains(value) else {
            throw Failure.input(
                "`\(key)` is out of range", at: place, expected: "\(allowed.lowerBound) to \(allowed.upperBound)",
                got: "\(value)")
        }
    }
}

extension Tensor {
    /// - Parameters:
    ///   - name: what the tensor is called, for the message.
    ///   - pattern: the size of each dimension; nil stands for any but zero.
    /// - Throws: a failure of the input where the shape is another.
    func checkShape(_ name: String, _ pattern: [Int?]) throws {
        let shape = shape
        let fits = zip(shape, pattern).allSatisfy { size, wanted in wanted.map { $0 == size } ?? (size > 0) }
        guard shape.count == pattern.count, fits else {
            let wanted = pattern.map { $0.map(String.init) ?? "any" }.joined(separator: ", ")
            throw Failure.input("`\(name)` has a wrong shape", expected: "[\(wanted)]", got: "\(shape)")
        }
    }
}
