import Failures
import Files
import Glibc

/// Brings a file from the web to its place.
///
/// The bytes gather in `PATH.part`, with a note of where they come from beside it (`PATH.part.json`); a later start
/// goes on from there as long as the server's file is the same. The file takes its place only whole, synced, and with
/// the right SHA-256 where one is known.
public struct Download {
    /// What was done.
    public struct Report: Sendable {
        /// Length of the whole file.
        public let bytes: Int
        /// How many of them an earlier start had brought.
        public let resumedAt: Int
        /// Of the whole file, in hexadecimal.
        public let sha256: String
        /// Whether the SHA-256 was known before, and so checked.
        public let isChecked: Bool
        /// What tells this state of the server's file from another.
        public let validator: WebValidator
    }

    /// The file's address and headers; it must name no range.
    public let request: WebRequest
    /// Where the file is to lie.
    public let path: String
    /// In hexadecimal, where it is known.
    public let sha256: String?
    private let client: WebClient
    private let progress: (_ done: Int, _ total: Int?) -> Void

    /// - Parameter progress: told after every piece how many bytes there are, and how many there will be.
    public init(
        _ request: WebRequest, to path: String, sha256: String? = nil, client: WebClient,
        progress: @escaping (_ done: Int, _ total: Int?) -> Void = { _, _ in }
    ) {
        self.request = request
        self.path = path
        self.sha256 = sha256?.lowercased()
        self.client = client
        self.progress = progress
    }

    /// Downloads, or goes on downloading.
    /// - Throws: a failure; `CancellationError`, which leaves what there is for the next start.
    public func callAsFunction() throws -> Report {
        let part = try PartFile(path: path)
        do {
            return try run(part)
        } catch {
            part.removeIfEmpty()
            throw error
        }
    }

    private func run(_ part: PartFile) throws -> Report {
        var (state, digest) = try part.resumed(from: request.address)
        let start = state.bytes
        let stream = try WebStream(
            request, client: client, from: state.bytes, validator: state.validator, total: state.total)
        var resumedAt = start
        try withUnsafeTemporaryAllocation(byteCount: 1 << 18, alignment: 64) { piece in
            func keepState() throws {
                state.validator = stream.validator
                state.total = stream.total
                try part.write(state)
            }
            var isNoted = false
            while true {
                let step = try stream.read(into: piece)
                if step == .restarted {
                    try part.truncate()
                    digest = SHA256()
                    resumedAt = 0
                    isNoted = false
                }
                // Before the first byte, so that none is ever there of which it is not known whence.
                if !isNoted {
                    try keepState()
                    isNoted = true
                }
                switch step {
                case .bytes(let count):
                    let bytes = UnsafeRawBufferPointer(rebasing: piece[..<count])
                    try part.append(bytes)
                    digest.update(bytes)
                    progress(stream.offset, stream.total)
                case .restarted: break
                case .end: return
                }
            }
        }
        let found = digest.finish()
        let known = sha256 ?? stream.linkedSHA256
        if let known, known != found {
            part.remove()
            throw Failure.input(
                "what was downloaded is not the expected file; it was removed", at: .init("\(request.address)"),
                expected: "SHA-256 \(known)", got: found)
        }
        try part.commit()
        return Report(
            bytes: stream.offset, resumedAt: resumedAt, sha256: found, isChecked: known != nil,
            validator: stream.validator)
    }
}
