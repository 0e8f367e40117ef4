import Failures
import Foundation

/// A file of `Tests/Goldens`: what goes in, what a peer says comes out, and the weights between.
///
/// It is read here with Foundation alone, so that a fault in our own reader of tensor files cannot hide in a test.
public struct Golden: Sendable {
    /// A tensor as plain numbers in row-major order; int64 ones are exact in `Int64`, the rest float32.
    public struct Tensor: Equatable, Sendable {
        /// Numbers of one of the two types that goldens have.
        public enum Elements: Equatable, Sendable {
            case float32([Float])
            case int64([Int64])
        }

        /// Sizes, the slowest axis first.
        public var shape: [Int]
        /// As many as the shape says.
        public var elements: Elements

        /// A tensor of numbers in row-major order.
        public init(shape: [Int], elements: Elements) {
            self.shape = shape
            self.elements = elements
        }

        /// The elements as float32, whatever they are stored as.
        public var floats: [Float] {
            switch elements {
            case .float32(let values): values
            case .int64(let values): values.map(Float.init)
            }
        }
    }

    /// Where the file lies.
    public let path: String
    /// `module`, `arch` (JSON), `peer` and what else the script that wrote the golden says.
    public let metadata: [String: String]
    /// Every tensor by its full key.
    public let tensors: [String: Tensor]

    /// The arch as JSON, as `forward --arch` takes it.
    public var arch: String { metadata["arch"] ?? "{}" }

    /// The path of a file of `Tests/Goldens`.
    public static func file(_ name: String) -> String { "\(folder)/\(name)" }

    /// Reads `Tests/Goldens/NAME.safetensors`; throws where it is missing or no safetensors file.
    public init(_ name: String) throws {
        path = Self.file("\(name).safetensors")
        let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)
        guard data.count >= 8 else { throw Failure.input("golden is cut short", at: .init(path)) }
        let headerSize = data.withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) }
        guard headerSize <= data.count - 8 else { throw Failure.input("golden is cut short", at: .init(path)) }
        let header = try JSONDecoder().decode([String: Entry].self, from: data[8..<8 + headerSize])
        let body = data[(8 + headerSize)...]
        metadata = header["__metadata__"]?.texts ?? [:]
        var tensors: [String: Tensor] = [:]
        for (key, entry) in header where key != "__metadata__" {
            tensors[key] = try entry.tensor(in: body, at: .init("\(path): \(key)"))
        }
        self.tensors = tensors
    }

    /// The tensors whose keys begin with `prefix` and a dot, by the rest of their keys.
    public func part(_ prefix: String) -> [String: Tensor] {
        var part: [String: Tensor] = [:]
        for (key, tensor) in tensors where key.hasPrefix(prefix + ".") {
            part[String(key.dropFirst(prefix.count + 1))] = tensor
        }
        return part
    }

    /// A parameter or statistic of a drawn network, its batch norm's scale taken from this file.
    public func drawn(_ key: String, shape: [Int]) -> [Float] {
        let layer = key.split(separator: ".").dropLast().joined(separator: ".")
        return DrawnWeights.values(key: key, shape: shape, scale: tensors["scale.\(layer)"]?.floats.first ?? 1)
    }

    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Goldens").path
}

/// One value of a safetensors header: a tensor's place, or the metadata's texts.
private struct Entry: Decodable {
    var dtype = ""
    var shape: [Int] = []
    var offsets: [Int] = []
    var texts: [String: String] = [:]

    private enum Keys: String, CodingKey {
        case dtype, shape
        case offsets = "data_offsets"
    }

    init(from decoder: any Decoder) throws {
        if let texts = try? decoder.singleValueContainer().decode([String: String].self) {
            self.texts = texts
            return
        }
        let values = try decoder.container(keyedBy: Keys.self)
        dtype = try values.decode(String.self, forKey: .dtype)
        shape = try values.decode([Int].self, forKey: .shape)
        offsets = try values.decode([Int].self, forKey: .offsets)
    }

    func tensor(in body: Data, at place: Failure.Place) throws -> Golden.Tensor {
        let count = shape.reduce(1, *)
        let size = dtype == "I64" ? 8 : 4
        guard offsets.count == 2, offsets[0] >= 0, offsets[1] - offsets[0] == count * size, offsets[1] <= body.count
        else { throw Failure.input("golden's tensor lies outside the file", at: place) }
        let bytes = body[body.startIndex + offsets[0]..<body.startIndex + offsets[1]]
        return try bytes.withUnsafeBytes { raw in
            switch dtype {
            case "F32":
                let values = (0..<count).map { raw.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
                return Golden.Tensor(shape: shape, elements: .float32(values))
            case "I64":
                let values = (0..<count).map { raw.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self) }
                return Golden.Tensor(shape: shape, elements: .int64(values))
            default:
                throw Failure.input("golden of an unknown type", at: place, expected: "F32 or I64", got: dtype)
            }
        }
    }
}
