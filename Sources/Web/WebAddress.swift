import Failures

/// An address on the web, `http:` or `https:`.
///
/// Its description leaves out what may be secret: user and password, and the query, where tokens and signatures stand.
public struct WebAddress: Hashable, Sendable {
    /// The whole address as it was written; not for messages.
    public let text: String
    /// `http` or `https`.
    public let scheme: String
    /// In lower case, without port.
    public let host: String
    /// As it is written, else 80 for `http` and 443 for `https`.
    public let port: Int
    /// From the first slash on, without query.
    public let path: String
    /// What follows the question mark, without fragment; not for messages.
    let query: String

    /// Whether a text looks like an address with a scheme, known or not.
    public static func isAddress(_ text: String) -> Bool { text.contains("://") }

    /// - Throws: a failure of the input for anything but an `http:` or `https:` address; it does not repeat the text.
    public init(_ text: String) throws {
        let refusal = Failure.input(
            "this is no address on the web", expected: "https://HOST/PATH or http://HOST/PATH",
            got: WebAddress.scheme(of: text).map { "an address that begins with \($0):" })
        guard let separator = WebAddress.separator(in: text), text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            throw refusal
        }
        let scheme = text[..<separator.lowerBound].lowercased()
        guard scheme == "http" || scheme == "https" else { throw refusal }
        let rest = text[separator.upperBound...]
        let authority = rest.prefix { !"/?#".contains($0) }
        let place = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        var host = place
        var port = scheme == "https" ? 443 : 80
        if let colon = place.lastIndex(of: ":"), !place[colon...].contains("]") {
            guard let number = Int(place[place.index(after: colon)...]), (1...65535).contains(number) else {
                throw refusal
            }
            host = place[..<colon]
            port = number
        }
        guard !host.isEmpty, host.allSatisfy({ $0.isLetter || $0.isNumber || ".-_[]:".contains($0) }) else {
            throw refusal
        }
        self.text = text
        self.scheme = scheme
        self.host = host.lowercased()
        self.port = port
        let path = rest[authority.endIndex...].prefix { !"?#".contains($0) }
        self.path = path.isEmpty ? "/" : String(path)
        let after = rest[path.endIndex...].prefix { $0 != "#" }
        query = String(after.dropFirst())
    }

    /// The last part of the path, with `%20` and the like decoded; empty where the path ends with a slash.
    public var fileName: String {
        var bytes: [UInt8] = []
        var rest = path.utf8.reversed().prefix { $0 != UInt8(ascii: "/") }.reversed()[...]
        while let byte = rest.popFirst() {
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            if byte == UInt8(ascii: "%"), digits.utf8.count == 2, let decoded = UInt8(digits, radix: 16) {
                bytes.append(decoded)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    var hasQuery: Bool { text.contains("?") }

    /// The parts of the query that say which file is meant, without those that only allow it to be had: a signed
    /// address is signed anew from day to day. Not for messages.
    public var meaning: [String] {
        query.split(separator: "&").map(String.init).filter { part in
            let name = part.prefix { $0 != "=" }.lowercased()
            return !name.hasPrefix("x-amz-") && !name.hasPrefix("x-goog-") && !Self.allowances.contains(name)
        }
    }

    private static let allowances: Set<String> = [
        "signature", "expires", "awsaccesskeyid", "googleaccessid", "policy", "key-pair-id", "token", "access_token",
        "sig", "se", "st", "sp", "sv", "sr", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv",
    ]

    /// The host with its port where that is not the scheme's own, as a request's `Host` says it.
    var authority: String { port == (scheme == "https" ? 443 : 80) ? host : "\(host):\(port)" }

    /// What stands in front of the host with an `@`; not for messages.
    private var user: Substring {
        let authority = text[text.index(text.startIndex, offsetBy: scheme.count + 3)...].prefix { !"/?#".contains($0) }
        return authority[..<(authority.lastIndex(of: "@") ?? authority.startIndex)]
    }

    var hasUser: Bool { !user.isEmpty }

    /// An address that this one redirects to, with this one's user and password where it is of the same host and no less
    /// safe, and has none of its own.
    func redirected(to target: WebAddress) throws -> WebAddress {
        let isSafer = scheme == "http" && port == 80 && target.scheme == "https" && target.port == 443
        guard hasUser, !target.hasUser, host == target.host, isSameOrigin(as: target) || isSafer else { return target }
        let rest = target.text.dropFirst(target.scheme.count + 3)
        return try WebAddress("\(target.scheme)://\(user)@\(rest)")
    }

    /// Whether another address is served by the same host at the same port in the same way.
    public func isSameOrigin(as other: WebAddress) -> Bool {
        (scheme, host, port) == (other.scheme, other.host, other.port)
    }

    private static func separator(in text: String) -> Range<String.Index>? {
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        return colon..<text.index(colon, offsetBy: 3)
    }

    private static func scheme(of text: String) -> Substring? {
        guard let separator = separator(in: text) else { return nil }
        let scheme = text[..<separator.lowerBound]
        return scheme.utf8.count <= 16 && scheme.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber) })
            ? scheme : nil
    }
}

extension WebAddress: CustomStringConvertible {
    /// Scheme, host, port where it is not the scheme's own, and path; `?…` stands for a query.
    public var description: String {
        "\(scheme)://\(authority)\(path)\(hasQuery ? "?…" : "")"
    }
}
