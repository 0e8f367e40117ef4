import Failures

/// A place in S3: `s3://BUCKET/KEY`, where the key may also be the beginning of several, or empty.
public struct S3Object: Hashable, Sendable, CustomStringConvertible {
    /// 3 to 255 characters, the first part of the place.
    public let bucket: String
    /// What follows the bucket's slash; empty for all of the bucket.
    public let key: String

    /// Takes both as they are, without checking them.
    public init(bucket: String, key: String) {
        self.bucket = bucket
        self.key = key
    }

    /// - Throws: a failure of the input for what names no bucket.
    public init(_ text: String) throws {
        let rest = text.hasPrefix("s3://") ? text.dropFirst(5) : ""
        bucket = String(rest.prefix { $0 != "/" })
        key = String(rest.dropFirst(bucket.count + 1))
        guard (3...255).contains(bucket.utf8.count), key.utf8.count <= 1024, !key.utf8.contains(0),
            bucket.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }), bucket != "..",
            !key.split(separator: "/").contains(where: { $0 == "." || $0 == ".." })
        else {
            throw Failure.input(
                "not a place in S3", expected: "s3://BUCKET/KEY or s3://BUCKET/PREFIX/",
                got: "'\(ShownText.withoutSecrets(text))'")
        }
    }

    /// As it is written: `s3://BUCKET/KEY`.
    public var description: String { "s3://\(bucket)/\(key)" }
}
