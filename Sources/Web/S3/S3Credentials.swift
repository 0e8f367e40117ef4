/// Who asks, for the signature of a request to S3. It describes itself without its secrets.
public struct S3Credentials: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    public let accessKey: String
    public let secretKey: String
    /// Goes with keys that hold for some hours only.
    public let sessionToken: String?

    public init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }

    public var description: String { "an access key and its secret" }

    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
