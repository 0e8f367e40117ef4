import Failures
import Loading
import Torch
import Weights

/// A condition as plain bytes, which cross threads and go into caches: safetensors, as few as hold it without loss.
enum ConditionBytes {
    /// Changed whenever the same condition becomes other bytes.
    static let version = 1

    /// What the 256 levels of an image are as numbers; masks and cut images have nothing else.
    private static let levels = (0...255).map { Float($0) / 255 }

    /// - Parameter condition: [1, c, h, w].
    static func bytes(of condition: Tensor) throws -> [UInt8] {
        let values: [Float] = try condition.values()
        var indices: [UInt8] = []
        indices.reserveCapacity(values.count)
        for value in values {
            guard value >= 0, value <= 1 else { break }
            let index = UInt8(value * 255 + 0.5)
            guard levels[Int(index)] == value else { break }
            indices.append(index)
        }
        if indices.count == values.count {
            return try SafetensorsWriter.bytes([("levels", Tensor(indices, shape: condition.shape))])
        }
        return try SafetensorsWriter.bytes([("condition", Tensor(values, shape: condition.shape))])
    }

    /// [1, c, h, w], float32; nil for what is no condition's bytes.
    static func condition(_ bytes: [UInt8]) throws -> Tensor? {
        guard let file = try? SafetensorsFile(bytes: bytes, path: "condition") else { return nil }
        guard let levels = try file.tensor("levels") else { return try file.tensor("condition") }
        let indices: [UInt8] = try levels.values()
        return try Tensor(indices.map { Self.levels[Int($0)] }, shape: levels.shape)
    }
}

extension ImageBatch {
    /// What the workers made of the images, [B, c, h, w], float32 on the CPU; nil where nobody asked for it.
    func condition() throws -> Tensor? {
        let conditions = try samples.compactMap { try $0.condition.flatMap(ConditionBytes.condition) }
        guard let first = conditions.first else { return nil }
        if let other = conditions.first(where: { $0.shape != first.shape }) {
            throw Failure.run(
                "the filter's conditions of images of one size differ in theirs", expected: "\(first.shape)",
                got: "\(other.shape)")
        }
        return try .concatenated(conditions, dimension: 0)
    }
}
