import Files

/// HMAC with SHA-256 (RFC 2104): 32 bytes that only a holder of the key can tell of a message.
func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    let blockSize = 64
    var block = key.count > blockSize ? SHA256.bytes(of: key) : key
    block += [UInt8](repeating: 0, count: blockSize - block.count)
    let inner = SHA256.bytes(of: block.map { $0 ^ 0x36 } + message)
    return SHA256.bytes(of: block.map { $0 ^ 0x5C } + inner)
}
