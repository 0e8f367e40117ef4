import Failures
import Web

/// The bytes of a shard on the web, across connections that break off.
///
/// A server that knows no ranges sends the file from its beginning again: what was handed out is passed over where the
/// file is the same, and the shard is broken where it is another by now or that can't be told.
final class WebBytes: ByteSource {
    private let stream: WebStream
    private let name: String
    private var handedOut = 0
    /// The file as it was when its first byte was handed out.
    private var state: (validator: WebValidator, total: Int?)?
    /// Bytes to pass over.
    private var spare = 0

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
                guard handedOut > 0 else { continue }
                guard let state, state.validator.condition != nil else {
                    throw Failure.run(
                        "the connection broke off, and the server says nothing to know the file by", at: .init(name),
                        expected: "an ETag or Last-Modified")
                }
                guard state.validator == stream.validator, state.total == stream.total else { throw changed }
                spare = handedOut
            case .bytes(let count):
                if state == nil { state = (stream.validator, stream.total) }
                if spare >= count {
                    spare -= count
                    continue
                }
                let fresh = count - spare
                if spare > 0 {
                    let kept = UnsafeRawBufferPointer(rebasing: buffer[spare..<count])
                    // The pieces overlap, which `memmove` behind this allows.
                    buffer.copyMemory(from: kept)
                    spare = 0
                }
                handedOut += fresh
                return fresh
            }
        }
    }

    private var changed: Failure { .run("the file changed while it was read", at: .init(name)) }
}
