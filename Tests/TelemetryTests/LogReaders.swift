import Testing

/// Readers of the logs' formats, written from their descriptions and apart from what writes them.

/// CRC of 32 bits, bit by bit.
func crc(_ bytes: some Sequence<UInt8>, polynomial: UInt32) -> UInt32 {
    var value: UInt32 = ~0
    for byte in bytes {
        value ^= UInt32(byte)
        for _ in 0..<8 { value = value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1 }
    }
    return ~value
}

func number(_ bytes: some BidirectionalCollection<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
}

/// A message of Protocol Buffers, its fields by number in their order.
struct Message {
    enum Field: Equatable {
        case varint(UInt64)
        case double(Double)
        case float(Float)
        case bytes([UInt8])
    }

    private var fields: [(number: Int, field: Field)] = []

    init(_ bytes: [UInt8]) throws {
        var rest = bytes[...]
        func varint() throws -> UInt64 {
            var value: UInt64 = 0
            var shift: UInt64 = 0
            while true {
                guard let byte = rest.popFirst() else { throw WrongFormat("a number is torn") }
                value |= UInt64(byte & 127) << shift
                if byte < 128 { return value }
                shift += 7
            }
        }
        func take(_ count: Int) throws -> [UInt8] {
            guard rest.count >= count else { throw WrongFormat("a field is torn") }
            defer { rest = rest.dropFirst(count) }
            return Array(rest.prefix(count))
        }
        while !rest.isEmpty {
            let key = try varint()
            let field: Field
            switch key & 7 {
            case 0: field = .varint(try varint())
            case 1: field = .double(Double(bitPattern: number(try take(8))))
            case 2: field = .bytes(try take(Int(varint())))
            case 5: field = .float(Float(bitPattern: UInt32(number(try take(4)))))
            default: throw WrongFormat("a field of kind \(key & 7)")
            }
            fields.append((Int(key >> 3), field))
        }
    }

    subscript(number: Int) -> [Field] { fields.filter { $0.number == number }.map(\.field) }

    func messages(_ number: Int) throws -> [Message] {
        try self[number].map { field in
            guard case .bytes(let bytes) = field else { throw WrongFormat("field \(number) is no message") }
            return try Message(bytes)
        }
    }

    func message(_ number: Int) throws -> Message {
        let all = try messages(number)
        return try #require(all.first)
    }

    func texts(_ number: Int) -> [String] { bytes(number).map { String(decoding: $0, as: UTF8.self) } }

    func bytes(_ number: Int) -> [[UInt8]] {
        self[number].compactMap { if case .bytes(let bytes) = $0 { bytes } else { nil } }
    }

    func integer(_ number: Int) -> Int? {
        if case .varint(let value)? = self[number].first { Int(Int64(bitPattern: value)) } else { nil }
    }

    func double(_ number: Int) -> Double? { if case .double(let value)? = self[number].first { value } else { nil } }

    func float(_ number: Int) -> Float? { if case .float(let value)? = self[number].first { value } else { nil } }
}

struct WrongFormat: Error {
    let what: String

    init(_ what: String) { self.what = what }
}

/// The events of a file of TensorBoard's.
func events(_ bytes: [UInt8]) throws -> [Message] {
    func masked(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        let sum = crc(bytes, polynomial: 0x82F6_3B78)
        return UInt64((sum >> 15 | sum << 17) &+ 0xA282_EAD8)
    }
    var rest = bytes[...]
    var events: [Message] = []
    while !rest.isEmpty {
        try #require(rest.count > 16)
        let length = rest.prefix(8)
        #expect(number(rest.dropFirst(8).prefix(4)) == masked(length))
        rest = rest.dropFirst(12)
        let content = rest.prefix(Int(number(length)))
        rest = rest.dropFirst(content.count)
        #expect(number(rest.prefix(4)) == masked(content))
        rest = rest.dropFirst(4)
        events.append(try Message(Array(content)))
    }
    return events
}

/// The records of a `.wandb` file.
func records(_ bytes: [UInt8]) throws -> [Message] {
    #expect(Array(bytes.prefix(7)) == [0x3A, 0x57, 0x26, 0x42, 0xE1, 0xBE, 0x00])
    var position = 7
    var record: [UInt8]?
    var records: [Message] = []
    while position < bytes.count {
        let left = 32768 - position % 32768
        if left < 7 {
            #expect(bytes[position..<(position + left)].allSatisfy { $0 == 0 })
            position += left
            continue
        }
        let head = bytes[position..<(position + 7)]
        let kind = bytes[position + 6]
        let length = Int(number(head.dropFirst(4).prefix(2)))
        try #require(length + 7 <= left && (1...4).contains(kind))
        let content = bytes[(position + 7)..<(position + 7 + length)]
        #expect(number(head.prefix(4)) == UInt64(crc([kind] + content, polynomial: 0xEDB8_8320)))
        position += 7 + length
        #expect((record == nil) == (kind == 1 || kind == 2))
        let whole = (record ?? []) + content
        record = kind == 1 || kind == 4 ? nil : whole
        if record == nil { records.append(try Message(whole)) }
    }
    #expect(record == nil)
    return records
}
