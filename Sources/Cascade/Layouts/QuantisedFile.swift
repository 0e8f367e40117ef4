import Failures
import Files
import Layers
import Torch
import Weights

/// A frozen network's weights with its matrices in fewer bits, to be written once and mapped ever after.
///
/// Names are the official ones. A quantised matrix has its codes under the weight's own name, and beside them
/// `NAME.scales`; in nf4 these are codes of magnitudes, with `NAME.scales.scales` and `NAME.scales.mean`. Everything else
/// is in bfloat16. The metadata has `base_dtype`, and as `quantised_from` the SHA-256 of the weights it was made from.
public struct QuantisedFile {
    /// Metadata: the form of the matrices, a ``BaseDType`` by name.
    public static let dtypeKey = "base_dtype"
    /// Metadata: the SHA-256, in hexadecimal, of the weights that were quantised.
    public static let originKey = "quantised_from"

    /// The network whose weights these are.
    public let part: ModelPart
    /// The form of the matrices that are large enough for it.
    public let dtype: BaseDType
    /// Matrices in fewer bits.
    public private(set) var matrices = 0
    private var tensors: [(name: String, tensor: Tensor)] = []
    private var metadata: [String: String]

    /// Quantises matrix after matrix; what was read of each is given back before the next.
    /// - Parameters:
    ///   - path: weights of Stage C, Stage B or the text encoder, in any layout.
    ///   - part: which network of a file that has several; nil for the first that can be quantised.
    /// - Throws: a failure of the input where there is no such network, or it is quantised already.
    public init(_ path: String, part wanted: ModelPart? = nil, as dtype: BaseDType) throws {
        let checkpoint = try Checkpoint(path)
        guard let part = wanted ?? checkpoint.parts.first(where: \.hasBaseMatrices), part.hasBaseMatrices else {
            throw Failure.input(
                "nothing in the weights can be quantised", at: .init(path),
                expected: "Stage C, Stage B or a CLIP text encoder",
                got: checkpoint.parts.isEmpty ? "no known network" : checkpoint.holdings)
        }
        let file = try checkpoint.tensors(of: part)
        (self.part, self.dtype, metadata) = (part, dtype, file.metadata)
        metadata[Self.dtypeKey] = dtype.rawValue
        metadata[Self.originKey] = try SHA256.hex(ofFiles: Tensors.files(at: path))
        for entry in file.entries {
            let value = try file.required(entry.name)
            if entry.dtype.isFloatingPoint, BaseDType.takes(entry.shape), part.isOfBase(entry.name) {
                let matrix = try QuantisedMatrix(value, as: dtype, name: entry.name)
                tensors += matrix.pieces.map { (entry.name + $0.ending, $0.tensor) }
                matrices += 1
            } else {
                tensors.append((entry.name, try entry.dtype.isFloatingPoint ? value.to(dtype: .bfloat16) : value))
            }
            file.release(entry.name)
        }
    }

    /// What all tensors take, without the file's header.
    public var bytes: Int { tensors.reduce(0) { $0 + $1.tensor.byteCount } }

    /// Writes a safetensors file, whole or not at all.
    public func write(to path: String) throws {
        try SafetensorsWriter.write(tensors, metadata: metadata, to: path)
    }
}
