import Failures
import Files

extension JSON {
    /// Reads one JSON document (RFC 8259) from UTF-8 bytes; a byte order mark in front is passed over.
    ///
    /// Refused, with the place: anything the grammar does not allow, bytes that are not UTF-8, half a surrogate pair,
    /// a number too large for a double, a key given twice, and nesting deeper than `maximumDepth`. As `python` writes
    /// it, some of these have a meaning: see ``Dialect``.
    /// - Parameter file: The name that stands in front of a failure's place.
    public static func parse(
        _ bytes: UnsafeRawBufferPointer, file: String, as dialect: Dialect = .strict, maximumDepth: Int = 128
    ) throws -> JSON {
        var parser = Parser(bytes: bytes, file: file, dialect: dialect, depthLeft: maximumDepth)
        return try parser.document()
    }

    /// Reads one JSON document from an array of bytes, likewise.
    public static func parse(
        _ bytes: [UInt8], file: String, as dialect: Dialect = .strict, maximumDepth: Int = 128
    ) throws -> JSON {
        try bytes.withUnsafeBytes { try parse($0, file: file, as: dialect, maximumDepth: maximumDepth) }
    }

    /// Reads one JSON document from a text, likewise.
    public static func parse(
        _ text: String, file: String, as dialect: Dialect = .strict, maximumDepth: Int = 128
    ) throws -> JSON {
        try parse(Array(text.utf8), file: file, as: dialect, maximumDepth: maximumDepth)
    }

    /// Reads a document and tells where its parts stand: one place for each value and each key, in the order in which
    /// they begin (a key before its value, an object before its keys).
    public static func parseWithPlaces(_ bytes: [UInt8], file: String) throws -> (value: JSON, places: [Failure.Place])
    {
        try bytes.withUnsafeBytes {
            var parser = Parser(bytes: $0, file: file, dialect: .strict, depthLeft: 128)
            parser.starts = []
            let value = try parser.document()
            return (value, parser.places)
        }
    }

    /// Reads the JSON document in a file of at most `maximumBytes`.
    public static func read(_ path: String, maximumBytes: Int = 256 << 20) throws -> JSON {
        try parse(readFile(path, limit: maximumBytes), file: path)
    }
}

/// A recursive-descent parser; `position` never passes the end of `bytes`.
struct Parser {
    let bytes: UnsafeRawBufferPointer
    let file: String
    let dialect: JSON.Dialect
    var depthLeft: Int
    var position = 0
    /// Where values and keys begin; nil where nobody asked.
    var starts: [Int]?

    init(bytes: UnsafeRawBufferPointer, file: String, dialect: JSON.Dialect, depthLeft: Int) {
        self.bytes = bytes
        self.file = file
        self.dialect = dialect
        self.depthLeft = depthLeft
    }

    /// The byte at the position; nil at the end.
    var byte: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func document() throws -> JSON {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        skipSpace()
        let value = try value()
        skipSpace()
        guard position == bytes.count else {
            throw failure("something follows the JSON document", expected: "the end")
        }
        return value
    }

    private mutating func value() throws -> JSON {
        starts?.append(position)
        switch byte {
        case UInt8(ascii: "{"): return try nested { try $0.object() }
        case UInt8(ascii: "["): return try nested { try $0.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "N") where dialect == .python: return try word("NaN", .number(.nan))
        case UInt8(ascii: "I") where dialect == .python: return try word("Infinity", .number(.infinity))
        case .some(UInt8(ascii: "0")...UInt8(ascii: "9")), UInt8(ascii: "-"): return try number()
        default: throw failure("not JSON", expected: "a value")
        }
    }

    private mutating func nested(_ body: (inout Parser) throws -> JSON) throws -> JSON {
        guard depthLeft > 0 else { throw failure("JSON nested too deep") }
        depthLeft -= 1
        defer { depthLeft += 1 }
        position += 1
        return try body(&self)
    }

    private mutating func object() throws -> JSON {
        var object = JSON.Object()
        skipSpace()
        if skip("}") { return .object(object) }
        while true {
            let start = position
            guard byte == UInt8(ascii: "\"") else { throw failure("not JSON", expected: "a key in quotes") }
            starts?.append(position)
            let key = try string()
            skipSpace()
            guard skip(":") else { throw failure("not JSON", expected: "\":\"") }
            skipSpace()
            let value = try value()
            if dialect == .python {
                object[key] = value
            } else if !object.insert(value, under: key) {
                throw failure("the key \"\(key)\" is given twice", at: start)
            }
            skipSpace()
            if skip("}") { return .object(object) }
            guard skip(",") else { throw failure("not JSON", expected: "\",\" or \"}\"") }
            skipSpace()
        }
    }

    private mutating func array() throws -> JSON {
        var array: [JSON] = []
        skipSpace()
        if skip("]") { return .array(array) }
        while true {
            array.append(try value())
            skipSpace()
            if skip("]") { return .array(array) }
            guard skip(",") else { throw failure("not JSON", expected: "\",\" or \"]\"") }
            skipSpace()
        }
    }

    mutating func word(_ word: StaticString, _ value: JSON) throws -> JSON {
        let end = position + word.utf8CodeUnitCount
        guard end <= bytes.count, word.withUTF8Buffer({ bytes[position..<end].elementsEqual($0) }) else {
            throw failure("not JSON", expected: "a value")
        }
        position = end
        return value
    }

    mutating func skipSpace() {
        while let byte, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    /// Steps over the character and says true where it is next.
    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard let byte, UInt32(byte) == character.value else { return false }
        position += 1
        return true
    }
}

extension Parser {
    /// A failure at an offset, by default the position, naming what stands there.
    func failure(_ what: String, at offset: Int? = nil, expected: String? = nil) -> Failure {
        let offset = offset ?? position
        var cursor = Cursor()
        cursor.advance(to: offset, in: bytes)
        return .input(
            what, at: Failure.Place(file, line: cursor.line, column: cursor.column), expected: expected,
            got: expected == nil ? nil : found(at: offset))
    }

    /// The recorded starts as lines and columns.
    var places: [Failure.Place] {
        var cursor = Cursor()
        return (starts ?? []).map {
            cursor.advance(to: $0, in: bytes)
            return Failure.Place(file, line: cursor.line, column: cursor.column)
        }
    }

    private func found(at offset: Int) -> String {
        guard offset < bytes.count else { return "the end" }
        let byte = bytes[offset]
        return (0x21...0x7E).contains(byte)
            ? "\"\(Unicode.Scalar(byte))\"" : "the byte 0x" + String(byte, radix: 16, uppercase: true)
    }
}

/// Line and column of an offset, both from 1; columns count characters.
private struct Cursor {
    var offset = 0
    var line = 1
    var column = 1

    mutating func advance(to end: Int, in bytes: UnsafeRawBufferPointer) {
        for byte in bytes[offset..<end] {
            if byte == 0x0A {
                (line, column) = (line + 1, 1)
            } else if byte & 0xC0 != 0x80 {
                column += 1  // a continuation byte begins no character
            }
        }
        offset = end
    }
}
