import Cascade
import Failures
import JSON
import Layers
import TestSupport
import Testing
import Torch

/// A golden as the networks take it: its tensors in libtorch's hands, its weights stored or drawn from their names.
struct TowerGolden {
    let golden: Golden
    /// The constructor values that the peer was made with.
    let arch: JSON

    init(_ name: String) throws {
        golden = try Golden(name)
        arch = try JSON.parse(golden.arch, file: golden.path)
    }

    /// The tensor of a full key; nil where there is none.
    func tensor(_ key: String) throws -> Tensor? { try golden.tensors[key]?.made() }

    func required(_ key: String) throws -> Tensor {
        let tensor = try tensor(key)
        return try #require(tensor, "\(key)")
    }

    func input(_ name: String) throws -> Tensor { try required("in.\(name)") }
    func output(_ name: String) throws -> Tensor { try required("out.\(name)") }

    /// A whole number of the arch.
    func whole(_ key: String) throws -> Int { try #require(arch[key]?.intValue) }

    /// The file's weights, or drawn ones where it holds only the batch norms' scales.
    func parameters(ignoring: @escaping (String) -> Bool = BatchStatistics.isCounter) -> any ParameterSource {
        let stored = golden.part("weights")
        return stored.isEmpty ? golden.drawnParameters : golden.parameters("weights", ignoring: ignoring)
    }
}

/// The largest difference over the peer's standard deviation.
func difference(_ ours: Tensor, _ theirs: Tensor) throws -> Double {
    try #require(ours.shape == theirs.shape)
    let largest = try (ours - theirs).abs().values(as: Float.self).max() ?? 0
    return try Double(largest) / theirs.variance(correction: 0).sqrt().item()
}

/// The norm of the difference over the norm of the peer's.
func relativeError(_ ours: Tensor, _ theirs: Tensor) throws -> Double {
    try #require(ours.shape == theirs.shape)
    return try (ours - theirs).norm().item() / theirs.norm().item()
}

/// The gradient that a backward pass must have left.
func gradient(of parameter: Tensor?, _ name: String) throws -> Tensor {
    let gradient = try parameter?.gradient()
    return try #require(gradient, "\(name)")
}

/// The failure that `body` ends with.
func failure(_ body: () throws -> Void) throws -> Failure {
    try #require(#expect(throws: Failure.self, performing: body))
}
