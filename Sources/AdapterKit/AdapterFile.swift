import Failures
import JSON
import Torch
import Weights

/// What an adapter file in the native format will hold: tensors by key and a description by name.
public struct AdapterContents {
    /// What is written, in this order.
    public var tensors: [(name: String, tensor: Tensor)] = []
    /// The kinds of adapter inside.
    public private(set) var kinds: [String] = []
    /// The description: texts as they are, everything else as JSON.
    public private(set) var metadata: [String: String] = [:]

    /// - Parameters:
    ///   - base: the model the adapter belongs to.
    ///   - steps: updates it was trained for.
    public init(base: BaseModel, steps: Int) {
        metadata["format"] = AdapterFile.format
        metadata["format_version"] = AdapterFile.version
        metadata["base_model"] = base.name
        metadata["base_sha256"] = base.sha256
        metadata["base_licence"] = base.licence
        metadata["trained_steps"] = String(steps)
    }

    /// Says that an adapter of a kind is inside.
    public mutating func add(kind: String) {
        kinds.append(kind)
        metadata["kind"] = kinds.joined(separator: ",")
    }

    /// Describes the adapter: texts as they are, everything else as JSON.
    public mutating func describe(_ name: String, _ value: JSON) {
        metadata[name] = value.stringValue ?? value.text()
    }

    /// Writes the file, whole or not at all.
    /// - Returns: its SHA-256, in hexadecimal.
    @discardableResult public func write(to path: String) throws -> String {
        try SafetensorsWriter.writeHashed(tensors, metadata: metadata, to: path)
    }
}

/// An adapter file in the native format.
public struct AdapterFile {
    /// What `format` says in the metadata of a file of ours.
    public static let format = "cascade-adapt-adapter"
    /// The version of the format that is written and read.
    public static let version = "1"

    /// The tensors of all kinds inside, with the metadata.
    public let weights: any NamedTensors

    /// - Throws: a failure of the input where the file is no adapter of ours.
    public init(_ weights: any NamedTensors) throws {
        guard weights.metadata["format"] == Self.format else {
            throw Failure.input(
                "not an adapter in the native format", at: Failure.Place(weights.path),
                expected: "metadata format \(Self.format)", got: weights.metadata["format"] ?? "none")
        }
        guard weights.metadata["format_version"] == Self.version else {
            throw Failure.input(
                "an adapter of another version of the format", at: Failure.Place(weights.path),
                expected: Self.version, got: weights.metadata["format_version"] ?? "none")
        }
        self.weights = weights
    }

    /// Opens a safetensors file.
    /// - Throws: a failure of the input where it is no adapter of ours.
    public init(_ path: String) throws { try self.init(SafetensorsFile(path)) }

    /// Where it lies.
    public var path: String { weights.path }
    /// The names of the kinds inside.
    public var kinds: [String] { (weights.metadata["kind"] ?? "").split(separator: ",").map(String.init) }
    /// Updates that it was trained for; 0 where it does not say.
    public var trainedSteps: Int { weights.metadata["trained_steps"].flatMap(Int.init) ?? 0 }

    /// A description written with `AdapterContents.describe`, or null.
    public func described(_ name: String) throws -> JSON {
        guard let text = weights.metadata[name] else { return .null }
        do {
            return try JSON.parse(text, file: path)
        } catch {
            throw Failure.input("the description `\(name)` cannot be read", at: Failure.Place(path), got: text)
        }
    }

    /// A number that must be there.
    public func number(_ name: String) throws -> Double {
        guard let number = weights.metadata[name].flatMap(Double.init), number.isFinite else {
            throw Failure.input(
                "the description lacks `\(name)`", at: Failure.Place(path), expected: "a number",
                got: weights.metadata[name] ?? "nothing")
        }
        return number
    }
}
