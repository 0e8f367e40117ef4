import Foundation
import Torch
import Weights

/// A folder of its own, gone with this value.
public final class Scratch: Sendable {
    /// Absolute.
    public let path: String

    /// Makes the folder, below the system's temporary one.
    public init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("cascade.\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { remove() }

    /// Removes the folder at once, for one that lives as long as the process.
    public func remove() { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in the folder.
    public subscript(name: String) -> String { "\(path)/\(name)" }

    /// Writes a text file.
    @discardableResult
    public func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: self[name]))
        return self[name]
    }

    /// Writes a tensor file.
    @discardableResult
    public func write(
        _ tensors: [String: Golden.Tensor], metadata: [String: String] = [:], to name: String
    ) throws -> String {
        let named = try tensors.sorted { $0.key < $1.key }.map { ($0.key, try $0.value.made()) }
        try SafetensorsWriter.write(named, metadata: metadata, to: self[name])
        return self[name]
    }
}

extension Golden.Tensor {
    /// A float32 tensor of numbers in row-major order.
    public init(_ values: [Float], _ shape: [Int]) {
        self.init(shape: shape, elements: .float32(values))
    }
}
