/// Calls a C door that writes its error message into a buffer, and gives back its status and the message.
///
/// `call` gets the buffer and its size; the message is empty where the door wrote none.
public func withErrorMessage<Status>(
    _ call: (UnsafeMutablePointer<CChar>, Int) throws -> Status
) rethrows -> (status: Status, message: String) {
    try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
        buffer.initialize(repeating: 0)
        guard let start = buffer.baseAddress else { preconditionFailure("a buffer of 512 bytes has an address") }
        let status = try call(start, buffer.count)
        return (status, String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }
}
