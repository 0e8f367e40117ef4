import Failures
import Files
import JSON
import Torch

/// A safetensors file: mapped, its header checked, its tensors read when they are asked for.
///
/// Source of the format: huggingface/safetensors, README. Eight bytes of header length, a JSON header of
/// `{"name": {"dtype", "shape", "data_offsets"}}`, then the data.
public final class SafetensorsFile: NamedTensors {
    /// Where the file lies, for messages.
    public let path: String
    /// Entries in the order of the header.
    public let entries: [TensorEntry]
    /// The texts under `__metadata__`.
    public let metadata: [String: String]
    private let file: MappedFile
    /// By entry, in bytes from the start of the file.
    private let ranges: [Range<Int>]
    private let positions: TensorPositions

    /// The longest header that is read, in bytes; the format's own limit.
    static let headerLimit = 100_000_000

    /// Maps the file and reads its header.
    /// - Throws: a failure of the input where it can't be opened or breaks the format's rules.
    public convenience init(_ path: String) throws { try self.init(MappedFile(path)) }

    /// Reads what is in memory already; `path` is for messages.
    public convenience init(bytes: [UInt8], path: String) throws {
        try self.init(MappedFile(copying: bytes, path: path))
    }

    init(_ file: MappedFile) throws {
        let path = file.path
        self.path = path
        self.file = file
        let place = Failure.Place(path)
        func broken(_ what: String) -> Failure {
            .input("not a readable safetensors file: \(what)", at: place)
        }
        if let mistaken = MistakenContent(file.bytes) {
            throw mistaken.failure("not a safetensors file", at: path, expected: "a safetensors file")
        }
        guard file.bytes.count >= 8 else { throw broken("it has \(file.bytes.count) bytes, a header takes at least 8") }
        let declared = UInt64(littleEndian: file.bytes.loadUnaligned(as: UInt64.self))
        guard declared <= UInt64(min(Self.headerLimit, file.bytes.count - 8)) else {
            throw broken("its header claims \(declared) bytes, the file has \(file.bytes.count)")
        }
        let start = 8 + Int(declared)
        let header = try JSON.parse(UnsafeRawBufferPointer(rebasing: file.bytes[8..<start]), file: path)
        guard let object = header.objectValue else { throw broken("its header is no object") }

        var entries: [TensorEntry] = []
        var ranges: [Range<Int>] = []
        var metadata: [String: String] = [:]
        for (name, value) in object {
            if name == "__metadata__" {
                // The format's own reader takes null for none.
                if value.isNull { continue }
                guard let texts = value.objectValue else { throw broken("its `__metadata__` is no object") }
                for (key, text) in texts {
                    guard let text = text.stringValue else { throw broken("its metadata `\(key)` is no text") }
                    guard metadata.updateValue(text, forKey: key) == nil else {
                        throw broken("its metadata `\(key)` is there in two spellings of one name")
                    }
                }
                continue
            }
            guard let code = value["dtype"]?.stringValue, let sizes = value["shape"]?.arrayValue,
                let offsets = value["data_offsets"]?.arrayValue, offsets.count == 2,
                let from = offsets[0].intValue, let to = offsets[1].intValue
            else { throw broken("tensor `\(name)` lacks dtype, shape or data_offsets") }
            guard let dtype = DType(safetensors: code) else {
                throw broken("tensor `\(name)` has the unknown dtype \(code)")
            }
            let shape = sizes.compactMap(\.intValue)
            guard shape.count == sizes.count, shape.count <= 16, let bytes = TensorEntry.byteCount(shape, dtype) else {
                throw broken("tensor `\(name)` has an impossible shape")
            }
            let room = file.bytes.count - start
            guard from >= 0, from <= to, to <= room, to - from == bytes else {
                throw broken(
                    "tensor `\(name)` of \(bytes) bytes lies at \(from)..<\(to), the data has \(room) bytes")
            }
            entries.append(TensorEntry(name: name, dtype: dtype, shape: shape))
            ranges.append((start + from)..<(start + to))
        }
        // As the format's own reader demands: every byte of the data belongs to exactly one tensor.
        var end = start
        for (entry, range) in zip(entries, ranges).sorted(by: {
            ($0.1.lowerBound, $0.1.upperBound) < ($1.1.lowerBound, $1.1.upperBound)
        }) {
            guard range.lowerBound == end else {
                throw broken(
                    "tensor `\(entry.name)` \(range.lowerBound < end ? "overlaps" : "leaves a gap behind") another")
            }
            end = range.upperBound
        }
        guard end == file.bytes.count else { throw broken("\(file.bytes.count - end) bytes belong to no tensor") }
        self.entries = entries
        self.ranges = ranges
        self.metadata = metadata
        positions = try TensorPositions(of: entries, in: path)
    }

    /// A tensor by its name, byte by byte; nil where there is none.
    public subscript(name: String) -> TensorEntry? { positions[name].map { entries[$0] } }

    /// The stored bytes of a tensor, mapped; nil where there is none. They live as long as this file.
    public func bytes(of name: String) -> UnsafeRawBufferPointer? {
        positions[name].map { UnsafeRawBufferPointer(rebasing: file.bytes[ranges[$0]]) }
    }

    /// The tensor of a name, on the CPU, as a view of the mapped file; nil where there is none.
    ///
    /// Old files have tensors that are not aligned to their element size: those are copied.
    public func tensor(_ name: String) throws -> Tensor? {
        guard let entry = self[name], let bytes = bytes(of: name) else { return nil }
        guard let base = bytes.baseAddress, !bytes.isEmpty, Int(bitPattern: base) % entry.dtype.size == 0 else {
            return try Tensor(bytes: bytes, shape: entry.shape, dtype: entry.dtype)
        }
        return try Tensor(borrowing: bytes, shape: entry.shape, dtype: entry.dtype, owner: file)
    }

    /// Takes the tensor's whole pages out of memory, where nobody keeps a view of them.
    public func release(_ name: String) {
        if let position = positions[name] { file.release(ranges[position]) }
    }
}

extension DType {
    /// The dtype of a code in a safetensors header.
    init?(safetensors code: String) {
        guard let match = DType.allCases.first(where: { $0.safetensorsCode == code }) else { return nil }
        self = match
    }

    var safetensorsCode: String {
        switch self {
        case .uint8: "U8"
        case .int8: "I8"
        case .int16: "I16"
        case .int32: "I32"
        case .int64: "I64"
        case .float16: "F16"
        case .float32: "F32"
        case .float64: "F64"
        case .bool: "BOOL"
        case .bfloat16: "BF16"
        case .float8e5m2: "F8_E5M2"
        case .float8e4m3: "F8_E4M3"
        }
    }
}
