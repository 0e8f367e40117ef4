import CCurl
import Failures
import Glibc

/// A blocking HTTP client: how long it waits, how often it tries, and what makes it stop.
///
/// A value that is copied freely; every transfer has a connection of its own, so that threads share nothing.
public struct WebClient: Sendable {
    /// What a connection may take, and one that delivers nothing, in seconds.
    public var connectSeconds = 20.0
    /// Waiting this long for less than ``stallBytes`` breaks a transfer off.
    public var stallSeconds = 30.0
    /// The fewest bytes that have to come in ``stallSeconds``.
    public var stallBytes = 1024
    /// Attempts in a row that may fail before the last one's failure is told.
    public var attempts = 5
    /// The pause after the first failed attempt; it doubles with each, up to ``longestPause``.
    public var firstPause = 1.0
    /// Also the most that a server's `Retry-After` is heeded.
    public var longestPause = 60.0
    /// How many redirects one request follows before it fails.
    public var mostRedirects = 10
    /// Asked several times a second while something is waited for; true ends it with a `CancellationError`.
    public var isCancelled: @Sendable () -> Bool
    /// Told of each pause, for a person.
    public var note: @Sendable (String) -> Void
    /// Takes the place of ``attempts`` once it has begun; nil leaves it to them.
    public var patience: NetworkPatience?

    /// - Parameters:
    ///   - isCancelled: asked several times a second; by default nothing is cancelled.
    ///   - note: told of each pause.
    public init(
        isCancelled: @escaping @Sendable () -> Bool = { false }, note: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.isCancelled = isCancelled
        self.note = note
    }

    /// Milliseconds that one call of the door may wait.
    static let slice: Int32 = 100

    /// Asks, follows redirects, and tries again where the connection or the server (408, 429, 5xx) fails.
    /// - Returns: the head of a response of any other status; its body is read from it.
    /// - Throws: the last attempt's failure; `CancellationError`.
    public func open(_ request: WebRequest) throws -> WebResponse {
        let attempts = NetworkAttempts(self)
        while true {
            do {
                let response = try openOnce(request)
                guard response.isPassing else {
                    attempts.succeed()
                    return response
                }
                try attempts.fail(
                    "\(request.address.authority) answers \(response.status)", asked: response.retryAfter,
                    request.failure(of: response))
            } catch let broken as WebBreak {
                try attempts.fail(broken.reason, broken.failure)
            }
        }
    }

    /// Whether there is a file at an address.
    public func offers(_ request: WebRequest) throws -> Bool {
        let response = try open(request)
        switch response.status {
        case 200: return true
        case 404, 410: return false
        default: throw request.failure(of: response)
        }
    }

    /// One attempt, redirects followed. Secrets stay with the host they are meant for.
    private func openOnce(_ request: WebRequest) throws -> WebResponse {
        var asked = request
        var passed: [WebHeaders] = []
        while true {
            let response = try WebResponse(asked, client: self, passed: passed)
            guard [301, 302, 303, 307, 308].contains(response.status), let target = response.redirect else {
                return response
            }
            guard passed.count < mostRedirects else {
                throw Failure.run(
                    "the server redirects without end", at: .init("\(request.address)"),
                    got: "\(mostRedirects) redirects")
            }
            let next = try asked.address.redirected(to: WebAddress(target))
            if asked.address.scheme == "https" && next.scheme == "http" {
                throw Failure.run(
                    "the server redirects from https to http, which anybody on the way could change",
                    at: .init("\(request.address)"), got: "\(next)")
            }
            passed.append(response.headers)
            if !next.isSameOrigin(as: request.address) { (asked.confinedHeaders, asked.service) = ([], nil) }
            asked.address = next
        }
    }

    /// Waits.
    /// - Throws: `CancellationError`.
    func pause(_ seconds: Double) throws {
        var left = seconds
        while left > 0 {
            if isCancelled() { throw CancellationError() }
            let nap = min(left, Double(Self.slice) / 1000)
            usleep(UInt32(nap * 1e6))
            left -= nap
        }
        if isCancelled() { throw CancellationError() }
    }
}

/// A connection that failed or broke off; another attempt may do better.
struct WebBreak: Error {
    let address: WebAddress
    let reason: String

    var failure: Failure {
        .run(
            "the connection failed", at: .init("\(address)"), got: reason,
            advice: "check the network; what was downloaded so far is kept"
        ).passing
    }
}
