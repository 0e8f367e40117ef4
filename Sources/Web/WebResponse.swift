import CCurl
import Failures

/// The head of a response, and its body to be pulled. It belongs to one thread at a time.
public final class WebResponse {
    /// Where it came from, after redirects.
    public let address: WebAddress
    /// The HTTP status after redirects: 200 for a whole file, 206 for a range.
    public let status: Int
    /// Those of the last answer; of the redirects before see ``passed``.
    public let headers: WebHeaders
    /// The heads of the redirects on the way, in order.
    public let passed: [WebHeaders]
    /// The absolute address a redirect points to.
    let redirect: String?
    private let transfer: OpaquePointer?
    private var watch: StallWatch

    /// Connects and waits for the head.
    /// - Throws: `WebBreak` where another attempt may do better, a failure where not, `CancellationError`.
    init(_ request: WebRequest, client: WebClient, passed: [WebHeaders]) throws {
        let address = request.address
        let transfer = try Self.begun(request, client)
        var watch = StallWatch(client, address: address)
        var head = CascadeCurlHead()
        while true {
            watch.begin()
            let (status, message) = withErrorMessage { cascade_curl_head(transfer, WebClient.slice, &head, $0, $1) }
            if status == CASCADE_CURL_OK { break }
            do {
                guard status == CASCADE_CURL_WAITING else { throw Self.error(status, message, address) }
                try watch.waited()
            } catch {
                cascade_curl_close(transfer)
                throw error
            }
        }
        self.address = address
        self.passed = passed
        self.transfer = transfer
        self.watch = watch
        status = head.status
        headers = WebHeaders(lines: String(cString: head.headers))
        redirect = head.redirect.map { String(cString: $0) }
    }

    deinit { cascade_curl_close(transfer) }

    private static func begun(_ request: WebRequest, _ client: WebClient) throws -> OpaquePointer? {
        let lines = request.allHeaders.map(\.line)
        var transfer: OpaquePointer?
        let (status, message) = withErrorMessage { error, size in
            withCStrings(lines) { headers in
                request.address.text.withCString { url in
                    var asked = CascadeCurlRequest()
                    asked.url = url
                    asked.headers = headers.baseAddress
                    asked.header_count = headers.count
                    asked.first_byte = Int64(request.firstByte ?? -1)
                    asked.last_byte = Int64(request.lastByte ?? -1)
                    asked.connect_timeout_ms = Int(client.connectSeconds * 1000)
                    return cascade_curl_open(&asked, &transfer, error, size)
                }
            }
        }
        guard status == CASCADE_CURL_OK else { throw error(status, message, request.address) }
        return transfer
    }

    private static func error(_ status: CascadeCurlStatus, _ message: String, _ address: WebAddress) -> any Error {
        status == CASCADE_CURL_BROKEN
            ? WebBreak(address: address, reason: message)
            : Failure.run("the address can't be read", at: .init("\(address)"), got: message)
    }

    /// Reads the next bytes of the body.
    /// - Returns: how many; 0 at its end.
    /// - Throws: `WebBreak` inside this library where it broke off, `CancellationError`.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        guard let start = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self), !buffer.isEmpty else { return 0 }
        while true {
            if watch.isCancelled() { throw CancellationError() }
            watch.begin()
            var got = 0
            let (status, message) = withErrorMessage {
                cascade_curl_read(transfer, WebClient.slice, start, buffer.count, &got, $0, $1)
            }
            switch status {
            case CASCADE_CURL_OK:
                watch.received(got)
                return got
            case CASCADE_CURL_END: return 0
            case CASCADE_CURL_WAITING: try watch.waited()
            default: throw Self.error(status, message, address)
            }
        }
    }

    /// The body whole, where it is small: a listing, an index.
    /// - Throws: a failure of the run where it is longer than `limit` or breaks off.
    public func body(limit: Int = 16 << 20) throws -> [UInt8] {
        var bytes: [UInt8] = []
        do {
            try withUnsafeTemporaryAllocation(byteCount: 1 << 16, alignment: 16) { piece in
                while true {
                    let count = try read(into: piece)
                    if count == 0 { return }
                    bytes.append(contentsOf: piece[..<count])
                    if bytes.count > limit {
                        throw Failure.run(
                            "the answer is too long", at: .init("\(address)"), expected: "at most \(limit) bytes")
                    }
                }
            }
        } catch let broken as WebBreak {
            throw broken.failure
        }
        return bytes
    }

    /// What a response that brings no file means for whoever asked.
    public var failure: Failure {
        let place = Failure.Place("\(address)")
        let got = "HTTP status \(status)"
        switch status {
        case 401, 403:
            return .input(
                "the server gives this file only to those it knows", at: place, got: got,
                advice: address.hasUser || address.hasQuery
                    ? "check the user and password of the address, or sign it anew"
                    : "give the address with its user and password, or signed")
        case 404, 410: return .input("the server has no such file", at: place, got: got, advice: "check the address")
        case _ where isPassing:
            return .run("the server can't serve this now", at: place, got: got, advice: "try again later").passing
        default: return .input("the server does not give this file", at: place, got: got)
        }
    }

    /// Whether the server answers so for a while: it is busy, or waited in vain.
    var isPassing: Bool { status == 408 || status == 429 || status >= 500 }

    /// Seconds the server asks to be left alone; nil where it does not say so as a number.
    var retryAfter: Double? { headers["Retry-After"].flatMap(Double.init).flatMap { $0.isFinite ? $0 : nil } }

    /// Where the body stands in the file, from `Content-Range: bytes FIRST-LAST/TOTAL`; nil for the whole file.
    var range: (first: Int?, total: Int?)? {
        guard let text = headers["Content-Range"]?.lowercased(), text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let first = parts[0].split(separator: "-").first.flatMap { Int($0) }
        return (first, Int(parts[1]))
    }

    /// The whole file's length, where the server says it.
    public var total: Int? {
        if status == 206 || status == 416 { return range?.total }
        return headers["Content-Length"].flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil }
    }
}

/// Measures how long a transfer is waited for, not counting what its reader does meanwhile.
private struct StallWatch {
    let isCancelled: @Sendable () -> Bool
    private let address: WebAddress
    private let patience: Duration
    private let bytes: Int
    private var waitedFor = Duration.zero
    private var receivedBytes = 0
    private var start = ContinuousClock.now

    init(_ client: WebClient, address: WebAddress) {
        isCancelled = client.isCancelled
        self.address = address
        patience = .seconds(client.stallSeconds)
        bytes = client.stallBytes
    }

    mutating func received(_ count: Int) { receivedBytes += count }

    /// A wait begins.
    mutating func begin() { start = .now }

    /// It ended with nothing.
    mutating func waited() throws {
        if isCancelled() { throw CancellationError() }
        waitedFor += ContinuousClock.now - start
        guard waitedFor >= patience else { return }
        guard receivedBytes >= bytes else {
            throw WebBreak(address: address, reason: "only \(receivedBytes) bytes came in \(patience) of waiting")
        }
        (waitedFor, receivedBytes) = (.zero, 0)
    }
}

/// Lends texts as C strings.
private func withCStrings<Result>(
    _ texts: [String], _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Result
) -> Result {
    let flat = texts.map { Array($0.utf8CString) }
    let joined = flat.flatMap(\.self)
    return joined.withUnsafeBufferPointer { bytes in
        var start = 0
        let pointers: [UnsafePointer<CChar>?] = flat.map { text in
            defer { start += text.count }
            return bytes.baseAddress.map { $0 + start }
        }
        return pointers.withUnsafeBufferPointer(body)
    }
}
