import Files
import Glibc

/// AWS Signature Version 4 of a GET, for one region of S3.
///
/// Signed are the address, the host, the day and second, and the session token; `Range` and `If-Range` are not, as they
/// change between the attempts at one request. libcurl has a signature of its own, whose canonical query, session token
/// and encoding of keys differ from version to version, and which older libcurls lack.
/// Source: AWS, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
struct S3Signature {
    let credentials: S3Credentials
    let region: String
    /// Seconds since 1970.
    let time: Int

    /// The SHA-256 of no bytes, which is what a GET sends.
    private static let emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The headers that make a request a signed one.
    /// - Parameter signing: headers to sign along, beside those of the signature.
    func headers(for address: WebAddress, signing others: [WebHeader] = []) -> [WebHeader] {
        let stamp = Self.stamp(time)
        let day = String(stamp.prefix(8))
        var own = [WebHeader("x-amz-content-sha256", Self.emptyPayload), WebHeader("x-amz-date", stamp)]
        if let token = credentials.sessionToken { own.append(WebHeader("x-amz-security-token", token)) }
        let signed = (own + others + [WebHeader("host", address.authority)])
            .map { (name: $0.name.lowercased(), value: $0.value) }.sorted { $0.name < $1.name }
        let names = signed.map(\.name).joined(separator: ";")
        let canonical = [
            "GET", address.path, address.query, signed.map { "\($0.name):\($0.value)\n" }.joined(), names,
            Self.emptyPayload,
        ].joined(separator: "\n")
        let scope = "\(day)/\(region)/s3/aws4_request"
        let text = ["AWS4-HMAC-SHA256", stamp, scope, SHA256.hex(of: Array(canonical.utf8))].joined(separator: "\n")
        var key = Array("AWS4\(credentials.secretKey)".utf8)
        for part in [day, region, "s3", "aws4_request"] { key = hmacSHA256(key: key, Array(part.utf8)) }
        let signature = hexadecimal(hmacSHA256(key: key, Array(text.utf8)))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(names), "
            + "Signature=\(signature)"
        return own + [WebHeader("Authorization", authorization)]
    }

    /// `20130524T000000Z`.
    static func stamp(_ time: Int) -> String {
        var seconds = time_t(time)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func two(_ number: Int32) -> String { zeroPadded(number, digits: 2) }
        let day = zeroPadded(parts.tm_year + 1900, digits: 4) + two(parts.tm_mon + 1) + two(parts.tm_mday)
        return "\(day)T\(two(parts.tm_hour))\(two(parts.tm_min))\(two(parts.tm_sec))Z"
    }
}

/// `%20` and the like for all but letters, digits, `-._~` (RFC 3986), as signatures want addresses written.
func percentEncoded(_ text: String, keeping kept: String = "") -> String {
    let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~\(kept)".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        if plain.contains(byte) {
            bytes.append(byte)
        } else {
            bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
