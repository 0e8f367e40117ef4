/// What tells one state of a server's file from another.
public struct WebValidator: Equatable, Sendable {
    /// A strong `ETag`, as it was sent.
    public var etag: String?
    /// `Last-Modified`, as it was sent.
    public var lastModified: String?

    /// Without either, a file is read from its beginning again after a break.
    public init(etag: String? = nil, lastModified: String? = nil) {
        self.etag = etag
        self.lastModified = lastModified
    }

    /// What the headers of a response tell; a weak `ETag` (`W/`) tells no bytes apart and is left out.
    public init(_ headers: WebHeaders) {
        self.init(
            etag: headers["ETag"].flatMap { $0.hasPrefix("W/") ? nil : $0 }, lastModified: headers["Last-Modified"])
    }

    /// What `If-Range` is asked with; nil where nothing tells the file's states apart.
    public var condition: String? { etag ?? lastModified }

    /// Whether a response, which says this of its file, may be another state of it.
    func contradicts(_ other: WebValidator) -> Bool {
        if let etag, let theirs = other.etag { return etag != theirs }
        if let lastModified, let theirs = other.lastModified { return lastModified != theirs }
        return false
    }
}

/// The bytes of a file on the web, in order, across connections that break off.
///
/// A transfer that breaks is taken up with `Range` and `If-Range` where it stopped. Where the file has changed, or the
/// server knows no ranges, the file is handed out from its beginning again, and the reader is told. Nothing is read
/// ahead but one piece. It belongs to one thread at a time.
public final class WebStream {
    /// What a read gave.
    public enum Step: Equatable, Sendable {
        /// So many of the next bytes.
        case bytes(Int)
        /// What was read so far is void: the next bytes are the file's first.
        case restarted
        /// The file is whole.
        case end
    }

    /// Bytes after which a transfer that breaks off again counts as one that got on.
    private static let progress = 1 << 16

    /// The file's address and headers; it must name no range.
    public let request: WebRequest
    /// Where the next byte lies in the file.
    public private(set) var offset: Int
    /// Of the file that is handed out now.
    public private(set) var validator: WebValidator
    /// The whole file's length, where the server says it.
    public private(set) var total: Int?
    /// SHA-256 in hexadecimal, where the Hugging Face hub says it of a file: `X-Linked-Etag` of its first answer.
    public private(set) var linkedSHA256: String?
    private let client: WebClient
    private var response: WebResponse?
    private let attempts: NetworkAttempts
    private var receivedSinceFailure = 0
    private var isRestarted = false

    /// Connects.
    /// - Parameters:
    ///   - offset: where an earlier stream stopped, of a file in the state that `validator` tells; what can't be
    ///     told apart is read from the beginning.
    ///   - total: the length the file then had.
    public init(
        _ request: WebRequest, client: WebClient, from offset: Int = 0, validator: WebValidator = WebValidator(),
        total: Int? = nil
    ) throws {
        self.request = request
        self.client = client
        attempts = NetworkAttempts(client)
        self.offset = offset
        self.validator = validator
        self.total = total
        try connect()
    }

    /// Reads the next bytes.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Step {
        while true {
            if isRestarted {
                isRestarted = false
                return .restarted
            }
            guard let response else { return .end }
            do {
                let count = try response.read(into: buffer)
                if count > 0 {
                    offset += count
                    receivedSinceFailure += count
                    if receivedSinceFailure >= Self.progress { attempts.succeed() }
                    return .bytes(count)
                }
                if let total, offset < total {
                    throw WebBreak(address: response.address, reason: "\(offset) of \(total) bytes")
                }
                self.response = nil
                attempts.succeed()
                return .end
            } catch let broken as WebBreak {
                self.response = nil
                receivedSinceFailure = 0
                try attempts.fail("broke off at byte \(offset): \(broken.reason)", broken.failure)
                try connect()
            }
        }
    }

    /// Connects at the offset, or at the beginning where that can't be.
    private func connect() throws {
        if offset > 0 {
            guard let condition = validator.condition else { return try restart() }
            var rest = request
            rest.firstByte = offset
            rest.headers.append(WebHeader("If-Range", condition))
            let opened = try client.open(rest)
            switch opened.status {
            case 206 where isContinuation(opened):
                note(opened)
                response = opened
            case 200:
                begin(opened)
            case 206, 412, 416:
                // All of it is there already, or it is another file by now.
                if opened.status == 416, offset == total, opened.total == total { return }
                try restart()
            default: throw request.failure(of: opened)
            }
        } else {
            let opened = try client.open(request)
            guard opened.status == 200 else { throw request.failure(of: opened) }
            (validator, total) = (WebValidator(), nil)
            note(opened)
            response = opened
        }
    }

    private func restart() throws {
        let opened = try client.open(request)
        guard opened.status == 200 else { throw request.failure(of: opened) }
        begin(opened)
    }

    /// Takes a response that brings the file from its beginning, although it was read in part.
    private func begin(_ opened: WebResponse) {
        offset = 0
        total = nil
        validator = WebValidator()
        linkedSHA256 = nil
        isRestarted = true
        note(opened)
        response = opened
    }

    private func isContinuation(_ opened: WebResponse) -> Bool {
        guard opened.range?.first == offset else { return false }
        if let total, let theirs = opened.total, total != theirs { return false }
        return !validator.contradicts(WebValidator(opened.headers))
    }

    /// Keeps what the response says of the file.
    private func note(_ opened: WebResponse) {
        if let told = opened.total { total = told }
        if validator.condition == nil { validator = WebValidator(opened.headers) }
        let linked = (opened.passed + [opened.headers]).lazy.compactMap { $0["X-Linked-Etag"] }.first
        if let hash = linked?.filter({ $0 != "\"" }).lowercased(), isSHA256(hash) { linkedSHA256 = hash }
    }
}

/// Whether a text is a SHA-256 in hexadecimal.
public func isSHA256(_ text: String) -> Bool {
    text.utf8.count == 64 && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
}
