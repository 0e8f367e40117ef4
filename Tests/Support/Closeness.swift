import Failures
import Torch

/// The largest difference between two tensors' elements, wherever they lie.
/// - Throws: where the shapes differ.
public func largestDifference(_ a: Tensor, _ b: Tensor) throws -> Double {
    guard a.shape == b.shape else {
        throw Failure.run("tensors of two shapes", expected: "\(b.shape)", got: "\(a.shape)")
    }
    let differences = try zip(a.values(as: Double.self), b.values(as: Double.self)).map { abs($0 - $1) }
    // A number that is none would get lost in a maximum.
    return differences.allSatisfy(\.isFinite) ? differences.max() ?? 0 : .infinity
}

/// The failure that `body` must end with.
/// - Throws: where it ends well or with another error.
public func expectedFailure(_ body: () throws -> Void) throws -> Failure {
    do {
        try body()
    } catch let failure as Failure {
        return failure
    }
    throw Failure.run("what should have failed went well")
}
