import Failures
import Files
import Web

/// The bytes of a shard on the web, across connections that break off.
///
/// A server that knows no ranges sends the file from its beginning again: what was handed out is passed over where the
/// file is the same, and the shard is broken where it is another by now. Where the server says nothing to know the file
/// by, its bytes tell.
final class WebBytes: ByteSource {
    private let stream: WebStream
    private let name: String
    private var handedOut = 0
    /// The file as it was when its first byte was handed out.
    private var state: (validator: WebValidator, total: Int?)?
    /// Bytes to pass over.
    private var spare = 0
    /// Of what was handed out, and of what is passed over; nil where the server tells the file's states apart.
    private var digests: (handedOut: SHA256, passedOver: SHA256)?

    init(_ request: WebRequest, client: WebClient, name: String) throws {
        stream = try WebStream(request, client: client)
        self.name = name
    }

    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            switch try stream.read(into: buffer) {
            case .end:
                if spare > 0 { throw changed }
                return 0
            case .restarted:
                guard handedOut > 0, let state else { continue }
                guard state.validator == stream.validator, state.total == stream.total else { throw changed }
                spare = handedOut
                digests?.passedOver = SHA256()
            case .bytes(let count):
                begin()
                let known = min(spare, count)
                if known > 0 { try pass(UnsafeRawBufferPointer(rebasing: buffer[..<known])) }
                guard count > known else { continue }
                let fresh = UnsafeRawBufferPointer(rebasing: buffer[known..<count])
                // The pieces may overlap, which `memmove` behind this allows.
                if known > 0 { buffer.copyMemory(from: fresh) }
                digests?.handedOut.update(UnsafeRawBufferPointer(rebasing: buffer[..<(count - known)]))
                handedOut += count - known
                return count - known
            }
        }
    }

    /// Keeps what the server says of the file with its first bytes.
    private func begin() {
        guard state == nil else { return }
        state = (stream.validator, stream.total)
        if stream.validator.condition == nil { digests = (SHA256(), SHA256()) }
    }

    /// Takes in bytes that were handed out before.
    private func pass(_ bytes: UnsafeRawBufferPointer) throws {
        spare -= bytes.count
        digests?.passedOver.update(bytes)
        guard spare == 0, let (before, now) = digests else { return }
        if before.finish() != now.finish() { throw changed }
    }

    private var changed: Failure { .run("the file changed while it was read", at: .init(name)) }
}
