/// A message of Protocol Buffers as it is written (protobuf.dev, "Encoding"). Field numbers are those of the `.proto`.
struct ProtobufMessage {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ field: Int, integer: Int) {
        varint(UInt64(field) << 3)
        varint(UInt64(bitPattern: Int64(integer)))
    }

    mutating func add(_ field: Int, double: Double) {
        varint(UInt64(field) << 3 | 1)
        bytes += littleEndian(double.bitPattern)
    }

    mutating func add(_ field: Int, float: Float) {
        varint(UInt64(field) << 3 | 5)
        bytes += littleEndian(float.bitPattern)
    }

    mutating func add(_ field: Int, bytes content: [UInt8]) {
        varint(UInt64(field) << 3 | 2)
        varint(UInt64(content.count))
        bytes += content
    }

    mutating func add(_ field: Int, text: String) { add(field, bytes: Array(text.utf8)) }

    /// A message within this one.
    mutating func add(_ field: Int, _ build: (inout ProtobufMessage) -> Void) {
        var message = ProtobufMessage()
        build(&message)
        add(field, bytes: message.bytes)
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest > 127 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// The fields of a message, one after another; ends where the bytes do or make no sense.
struct ProtobufFields: Sequence, IteratorProtocol {
    enum Value {
        /// A number of any width, as its bits.
        case number(UInt64)
        case bytes(ArraySlice<UInt8>)
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// The first field of a number.
    static func first(_ field: Int, of bytes: ArraySlice<UInt8>) -> Value? {
        ProtobufFields(bytes).first { $0.field == field }?.value
    }

    mutating func next() -> (field: Int, value: Value)? {
        guard let key = varint(), key >> 3 <= UInt64(Int32.max) else { return nil }
        let value: Value
        switch key & 7 {
        case 0:
            guard let number = varint() else { return nil }
            value = .number(number)
        case 1, 5:
            guard let number = take(key & 7 == 1 ? 8 : 4)?.number else { return nil }
            value = .number(number)
        case 2:
            // What a file's beginning shows of a long field is all there is of it.
            guard let count = varint() else { return nil }
            value = .bytes(rest.prefix(Int(clamping: count)))
            rest = rest.dropFirst(Int(clamping: count))
        default: return nil
        }
        return (Int(key >> 3), value)
    }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count)
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 127) << shift
            if byte < 128 { return value }
        }
        return nil
    }
}
