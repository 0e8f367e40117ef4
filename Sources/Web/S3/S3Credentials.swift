/// Who asks, for the signature of a request to S3. It describes itself without its secrets.
public struct S3Credentials: Equatable, Sendable, CustomStringConvertible, CustomReflectable {
    /// The key's id, which requests carry openly.
    public let accessKey: String
    /// Signs requests and is never sent.
    public let secretKey: String
    /// Goes with keys that hold for some hours only.
    public let sessionToken: String?

    /// - Parameters:
    ///   - accessKey: the key's id.
    ///   - secretKey: signs requests.
    ///   - sessionToken: of keys that hold for some hours only.
    public init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }

    /// The same words for all credentials, so that no message tells them.
    public var description: String { "an access key and its secret" }

    /// Without children, so that no dump tells the secrets.
    public var customMirror: Mirror { Mirror(self, children: [(label: String?, value: Any)]()) }
}
