import Failures
import Torch
import Weights

/// The input tensors of `forward`, checked all at once against what a part wants.
struct ForwardInputs {
    /// A size that a tensor must have.
    enum Size {
        case exactly(Int)
        /// The same size, of at least 1, wherever this letter stands.
        case letter(Character)
        /// Any size of at least 1.
        case any
    }

    /// A tensor that a part takes.
    struct Wanted {
        var name: String
        var shape: [Size]
        var isOptional = false
        /// Ids and masks; everything else is read as float32.
        var isWhole = false
        /// Whether whole numbers stay such.
        var mayBeWhole = false
    }

    private let file: SafetensorsFile
    private let device: Device

    init(_ file: SafetensorsFile, device: Device) {
        self.file = file
        self.device = device
    }

    var names: [String] { file.entries.map(\.name) }

    /// The numbers I of tensors `PREFIX.I`, ascending.
    func indices(of prefix: String) -> [Int] {
        names.compactMap { name in
            guard name.hasPrefix("\(prefix).") else { return nil }
            return Int(name.dropFirst(prefix.count + 1)).flatMap { "\(prefix).\($0)" == name ? $0 : nil }
        }.sorted()
    }

    /// The wanted tensors by name, on the device.
    /// - Throws: a failure of the input that lists what is missing, unknown and mis-shaped.
    func read(_ wanted: [Wanted]) throws -> [String: Tensor] {
        let missing = wanted.filter { !$0.isOptional && file[$0.name] == nil }.map(\.name)
        let unknown = names.filter { name in !wanted.contains { $0.name == name } }
        var misfits: [String] = []
        var sizes: [Character: Int] = [:]
        for item in wanted {
            guard let entry = file[item.name] else { continue }
            if !Self.fits(entry.shape, item.shape, &sizes) {
                misfits.append("\(item.name) \(entry.shape) where [\(Self.text(item.shape, sizes))] belongs")
            } else if item.isWhole && entry.dtype.isFloatingPoint {
                misfits.append("\(item.name) of \(entry.dtype) where whole numbers belong")
            }
        }
        let problems = [("missing", missing), ("unknown", unknown), ("not fitting", misfits)]
            .filter { !$0.1.isEmpty }.map { "\($0.0): \($0.1.prefix(12).joined(separator: ", "))" }
        guard problems.isEmpty else {
            throw Failure.input(
                "the inputs do not fit; \(problems.joined(separator: "; "))", at: Failure.Place(file.path),
                advice: "this part takes "
                    + wanted.map { "\($0.name)\($0.isOptional ? "?" : "") [\(Self.text($0.shape, [:]))]" }
                    .joined(separator: ", "))
        }
        var tensors: [String: Tensor] = [:]
        for item in wanted {
            guard let tensor = try file.tensor(item.name) else { continue }
            let staysWhole = item.isWhole || item.mayBeWhole && !tensor.dtype.isFloatingPoint
            tensors[item.name] = try tensor.to(dtype: staysWhole ? .int64 : .float32).to(device: device)
        }
        return tensors
    }

    /// Letters take their size from the first tensor they stand in.
    private static func fits(_ shape: [Int], _ pattern: [Size], _ sizes: inout [Character: Int]) -> Bool {
        guard shape.count == pattern.count else { return false }
        for (size, wanted) in zip(shape, pattern) {
            switch wanted {
            case .exactly(let exact): if size != exact { return false }
            case .letter(let letter): if size < 1 || sizes[letter, default: size] != size { return false }
            case .any: if size < 1 { return false }
            }
        }
        for case (let size, .letter(let letter)) in zip(shape, pattern) { sizes[letter] = size }
        return true
    }

    private static func text(_ shape: [Size], _ sizes: [Character: Int]) -> String {
        shape.map { size in
            switch size {
            case .exactly(let exact): "\(exact)"
            case .letter(let letter): sizes[letter].map(String.init) ?? String(letter)
            case .any: "any"
            }
        }.joined(separator: ", ")
    }
}

extension ForwardInputs.Size: ExpressibleByIntegerLiteral, ExpressibleByUnicodeScalarLiteral {
    init(integerLiteral value: Int) { self = .exactly(value) }
    init(unicodeScalarLiteral value: Unicode.Scalar) { self = .letter(Character(value)) }
}

extension [String: Tensor] {
    /// A tensor that `ForwardInputs.read` was told not to do without.
    func required(_ name: String) throws -> Tensor {
        guard let tensor = self[name] else { throw Failure.input("the inputs lack `\(name)`") }
        return tensor
    }
}
