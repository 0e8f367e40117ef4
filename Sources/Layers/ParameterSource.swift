import Failures
import Torch
import Weights

/// Where the values of a network's parameters come from: a file, or a generator.
public protocol ParameterSource {
    /// The value of `key`, of exactly `shape`, in any dtype and on any device.
    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor
    /// The matrix of `key`, a weight of exactly `shape`, where it is stored in fewer bits; nil where it is not.
    func quantised(_ key: String, shape: [Int]) throws -> QuantisedMatrix?
    /// Says that no view of a value that was given is kept.
    func release(_ key: String)
    /// Called when the network stands.
    /// - Throws: what did not fit, all of it in one failure.
    func finish() throws
}

extension ParameterSource {
    /// No weight is stored in fewer bits.
    public func quantised(_ key: String, shape: [Int]) throws -> QuantisedMatrix? { nil }
    /// Nothing lies in a mapped file.
    public func release(_ key: String) {}
}

/// Draws every parameter as its layer says.
public final class DrawnParameters: ParameterSource {
    private let generator: Generator

    /// - Parameter generator: drawn from in the order in which the network makes its parameters.
    public init(_ generator: Generator) { self.generator = generator }

    /// A float32 tensor on the CPU, drawn as `initial` says.
    public func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        try initial.draw(shape, from: generator)
    }

    /// Nothing can be missing.
    public func finish() throws {}
}

/// Gives zeros that take no memory, for networks of which only keys and shapes matter.
public struct Placeholders: ParameterSource {
    private let forms: [String: BaseDType]

    /// - Parameter quantised: matrices that are stored in fewer bits, by key.
    public init(quantised: [String: BaseDType] = [:]) { forms = quantised }

    /// One zero in float32 that stands for all elements of `shape`.
    public func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        try .zeros(shape.map { _ in 1 }).expanded(shape)
    }

    /// A matrix of zeros in the form that was named for the key; nil where none was.
    public func quantised(_ key: String, shape: [Int]) throws -> QuantisedMatrix? {
        try forms[key].map { try .placeholder(shape, as: $0) }
    }

    /// Nothing can be missing.
    public func finish() throws {}
}

/// Takes every parameter from named tensors, and reports together all that do not fit.
public final class StoredParameters: ParameterSource {
    private let name: String
    private let lookUp: (String) throws -> Tensor?
    private let available: [String]
    private let ignored: (String) -> Bool
    /// What a key is called in the file.
    private let stored: (String) -> String
    private let letGo: (String) -> Void
    private var used: Set<String> = []
    private var missing: [String] = []
    private var misshapen: [String] = []
    /// Keys whose values a file has quantised, where they are.
    private let codes: [String: BaseDType]

    /// - Parameters:
    ///   - file: the file; its tensors are mapped, not read.
    ///   - prefix: what stands before every key in the file.
    ///   - ignoring: keys that may be left over.
    public convenience init(
        _ file: any NamedTensors, prefix: String = "", ignoring: @escaping (String) -> Bool = { _ in false }
    ) {
        self.init(
            name: file.path,
            available: file.entries.map(\.name).filter { $0.hasPrefix(prefix) }
                .map { String($0.dropFirst(prefix.count)) },
            ignoring: ignoring, quantised: QuantisedMatrix.keys(in: file, prefix: prefix),
            storedName: { file.storedName(of: prefix + $0) }, release: { file.release(prefix + $0) },
            lookUp: { try file.tensor(prefix + $0) })
    }

    /// Takes values from a function.
    /// - Parameters:
    ///   - name: of the file, for messages.
    ///   - available: all keys that are there; those that no layer asks for are a failure.
    ///   - ignoring: keys that may be left over.
    ///   - quantised: keys whose values are kept in fewer bits, with their forms.
    ///   - storedName: what a key is called in the file, for messages.
    ///   - release: called where no view of a key's value is kept.
    ///   - lookUp: the tensor of a key; nil where there is none.
    public init(
        name: String, available: [String], ignoring: @escaping (String) -> Bool = { _ in false },
        quantised: [String: BaseDType] = [:], storedName: @escaping (String) -> String = { $0 },
        release: @escaping (String) -> Void = { _ in }, lookUp: @escaping (String) throws -> Tensor?
    ) {
        self.name = name
        self.available = available
        self.lookUp = lookUp
        ignored = ignoring
        codes = quantised
        stored = storedName
        letGo = release
    }

    /// The tensor of the key. Where it is missing or has another shape, zeros that take no memory; ``finish()`` tells.
    public func value(_ key: String, shape: [Int], initial: Initializer) throws -> Tensor {
        // Stands in until everything that does not fit is known.
        func placeholder() throws -> Tensor { try Placeholders().value(key, shape: shape, initial: initial) }
        used.insert(key)
        guard let tensor = try lookUp(key) else {
            missing.append(stored(key))
            return try placeholder()
        }
        guard codes[key] == nil else {
            misshapen.append("\(stored(key)) quantised where numbers belong")
            return try placeholder()
        }
        guard tensor.shape == shape else {
            misshapen.append("\(stored(key)) \(tensor.shape) where \(shape) belongs")
            return try placeholder()
        }
        return tensor
    }

    /// The matrix that the file has quantised. Where its tensors do not fit, zeros; ``finish()`` tells.
    public func quantised(_ key: String, shape: [Int]) throws -> QuantisedMatrix? {
        guard let dtype = codes[key] else { return nil }
        used.formUnion(([""] + QuantisedMatrix.endings).map { key + $0 })
        do throws(QuantisedMatrix.Misfit) {
            return try QuantisedMatrix(stored: shape, as: dtype) { try lookUp(key + $0) }
        } catch {
            misshapen.append("\(stored(key)) \(error.text)")
            return try .placeholder(shape, as: dtype)
        }
    }

    /// Passes on to the file that its memory for the key is not used any more.
    public func release(_ key: String) { letGo(key) }

    /// - Throws: a failure of the input with all keys that are missing, left over, or of another shape.
    public func finish() throws {
        let unexpected = available.filter { !used.contains($0) && !ignored($0) }.map(stored)
        var problems: [String] = []
        if !missing.isEmpty { problems.append(Self.list("missing", missing)) }
        if !unexpected.isEmpty { problems.append(Self.list("unexpected", unexpected)) }
        if !misshapen.isEmpty { problems.append(Self.list("of another shape", misshapen)) }
        guard problems.isEmpty else {
            throw Failure.input(
                "the weights do not fit this network: " + problems.joined(separator: "; "), at: Failure.Place(name),
                advice: "is it the file of another model or size?")
        }
    }

    private static func list(_ what: String, _ keys: [String]) -> String {
        let shown = keys.prefix(8).joined(separator: ", ")
        return "\(keys.count) \(what) (\(shown)\(keys.count > 8 ? ", …" : ""))"
    }
}
