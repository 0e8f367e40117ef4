import Failures

/// A GET, of a whole file or of a range of its bytes.
public struct WebRequest: Sendable {
    /// Where the file is; a redirect may lead elsewhere.
    public var address: WebAddress
    /// Sent wherever a redirect leads: `If-Range`, say.
    public var headers: [WebHeader]
    /// Secrets, sent to the address's own host and port alone: `Authorization`, the headers of an AWS signature.
    public var confinedHeaders: [WebHeader]
    /// Whose rules the request goes by; it signs for the address's own host and port alone.
    public var service: (any WebService)?
    /// What to do where the server refuses (401, 403); nil leaves it to the response.
    public var accessAdvice: String?
    /// The first byte wanted; nil asks for the file without a range.
    public var firstByte: Int?
    /// The last byte wanted; nil asks for all that follows the first.
    public var lastByte: Int?

    /// Asks for the whole file.
    /// - Parameters:
    ///   - address: where the file is.
    ///   - headers: sent wherever a redirect leads.
    ///   - confinedHeaders: secrets, sent to the address's own host and port alone.
    public init(_ address: WebAddress, headers: [WebHeader] = [], confinedHeaders: [WebHeader] = []) {
        self.address = address
        self.headers = headers
        self.confinedHeaders = confinedHeaders
    }

    /// What is sent with the next attempt.
    var allHeaders: [WebHeader] { headers + confinedHeaders + (service?.authorization(for: address) ?? []) }

    /// What a response to it means that brings no file.
    public func failure(of response: WebResponse) -> Failure {
        var failure = service?.failure(of: response) ?? response.failure
        if [401, 403].contains(response.status), let accessAdvice { failure.advice = accessAdvice }
        return failure
    }
}

/// A kind of server with rules of its own: how a request is signed, and how a refusal is told.
public protocol WebService: Sendable {
    /// Asked for each attempt anew, for a signature holds for some minutes only.
    func authorization(for address: WebAddress) -> [WebHeader]
    /// What a response says in its body; nil leaves it to its status.
    func failure(of response: WebResponse) -> Failure?
}

/// A line of a request's or a response's head.
public struct WebHeader: Equatable, Sendable {
    /// As it is sent; servers do not tell capital letters from small ones.
    public var name: String
    /// As it is sent, but for line ends.
    public var value: String

    /// - Parameters:
    ///   - name: such as `If-Range`.
    ///   - value: what stands behind the colon.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }

    /// The line as it is sent: one line, whatever the value holds.
    var line: String { "\(name): \(value.filter { !$0.isNewline && $0 != "\0" })" }
}

/// The headers of a response, in their order.
public struct WebHeaders: Equatable, Sendable {
    /// Each line of the head; a name may come more than once.
    public let all: [WebHeader]

    /// Reads the lines between the status line and the empty one.
    init(lines: String) {
        all = lines.split(whereSeparator: \.isNewline).compactMap { line in
            line.firstIndex(of: ":").map { colon in
                WebHeader(
                    String(line[..<colon]),
                    String(line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }.trimmingEnd))
            }
        }
    }

    /// The first header of a name, however its letters are written.
    public subscript(name: String) -> String? {
        let name = name.lowercased()
        return all.first { $0.name.lowercased() == name }?.value
    }
}

extension Substring {
    fileprivate var trimmingEnd: Substring {
        var text = self
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        return text
    }
}
