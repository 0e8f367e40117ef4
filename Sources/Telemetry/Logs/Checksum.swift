/// Cyclic redundancy checks of 32 bits, bits reflected, as zlib (IEEE) and iSCSI (Castagnoli) define them.
struct Checksum {
    private let table: [UInt32]

    /// - Parameter polynomial: Reflected, without its leading bit.
    private init(polynomial: UInt32) {
        table = (0..<256).map { byte in
            (0..<8).reduce(UInt32(byte)) { value, _ in value & 1 == 1 ? value >> 1 ^ polynomial : value >> 1 }
        }
    }

    /// zlib's.
    static let ieee = Checksum(polynomial: 0xEDB8_8320)
    /// CRC-32C (RFC 3720, appendix B.4).
    static let castagnoli = Checksum(polynomial: 0x82F6_3B78)

    func callAsFunction(_ bytes: some Sequence<UInt8>) -> UInt32 {
        table.withUnsafeBufferPointer { table in
            ~bytes.reduce(~0) { table[Int(truncatingIfNeeded: ($0 ^ UInt32($1)) & 255)] ^ $0 >> 8 }
        }
    }
}

/// The bytes of a number, the lowest first.
func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

extension Collection<UInt8> {
    /// The number whose bytes these are, the lowest first.
    var number: UInt64 { reversed().reduce(0) { $0 << 8 | UInt64($1) } }
}
