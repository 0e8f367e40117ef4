import Failures
import Files

/// How S3 is reached: where, and as whom. Read as AWS's own tools read it, from variables and the files in `~/.aws`.
/// Source: AWS SDKs and Tools Reference Guide, "Settings reference".
public struct S3Configuration: Sendable {
    /// Of the bucket, such as `eu-central-1`; requests are signed for it.
    public var region: String
    /// A server other than AWS's own, such as `http://127.0.0.1:9000`; nil for AWS.
    public var endpoint: WebAddress?
    /// Who asks.
    public var credentials: S3Credentials

    /// - Parameters:
    ///   - region: of the bucket.
    ///   - endpoint: a server other than AWS's own; nil for AWS.
    ///   - credentials: who asks.
    public init(region: String = "us-east-1", endpoint: WebAddress? = nil, credentials: S3Credentials) {
        self.region = region
        self.endpoint = endpoint
        self.credentials = credentials
    }

    /// Reads the environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN` before the files;
    /// `AWS_ENDPOINT_URL_S3` before `AWS_ENDPOINT_URL`; `AWS_REGION` before `AWS_DEFAULT_REGION`; the profile that
    /// `AWS_PROFILE` names, of `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE`.
    /// - Throws: a failure of the input that says where credentials were looked for.
    public init(variable: (String) -> String?) throws {
        let files = try SharedFiles(variable: variable)
        func value(_ names: String...) -> String? { names.compactMap { variable($0) }.first { !$0.isEmpty } }
        credentials = try files.credentials(
            accessKey: value("AWS_ACCESS_KEY_ID"), secretKey: value("AWS_SECRET_ACCESS_KEY"),
            token: value("AWS_SESSION_TOKEN"))
        region = value("AWS_REGION", "AWS_DEFAULT_REGION") ?? files["region"] ?? "us-east-1"
        guard region.utf8.count <= 64, region.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") })
        else { throw Failure.input("not a region of AWS", expected: "us-east-1, say", got: "'\(region)'") }
        let variables = value("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
        endpoint = try (variables ?? files["endpoint_url"]).map { text in
            do {
                let address = try WebAddress(text)
                guard address.query.isEmpty, !text.contains("@") else {
                    throw Failure.input("an endpoint has neither user nor query", got: "\(address)")
                }
                return address
            } catch var failure as Failure {
                failure.place = Failure.Place(variables == nil ? files.configPath : "AWS_ENDPOINT_URL")
                throw failure
            }
        }
    }
}

/// What the files in `~/.aws` say of one profile.
private struct SharedFiles {
    let credentialsPath: String
    let configPath: String
    let profile: String
    /// What stands under the profile in either file; the credentials file counts first.
    private let settings: [String: String]

    init(variable: (String) -> String?) throws {
        func value(_ name: String) -> String? { variable(name).flatMap { $0.isEmpty ? nil : $0 } }
        let home = value("HOME") ?? "~"
        credentialsPath = value("AWS_SHARED_CREDENTIALS_FILE") ?? "\(home)/.aws/credentials"
        configPath = value("AWS_CONFIG_FILE") ?? "\(home)/.aws/config"
        let named = value("AWS_PROFILE") ?? value("AWS_DEFAULT_PROFILE")
        let profile = named ?? "default"
        self.profile = profile
        let credentials = try Self.read(credentialsPath).sections[profile]
        let config = try Self.read(configPath).sections
        let general = config["profile \(profile)"] ?? (profile == "default" ? config["default"] : nil)
        if let named, credentials == nil, general == nil {
            throw Failure.input(
                "there is no profile of the name that AWS_PROFILE gives",
                expected: "[\(named)] in \(credentialsPath) or [profile \(named)] in \(configPath)", got: "neither")
        }
        settings = (general ?? [:]).merging(credentials ?? [:]) { $1 }
    }

    private static func read(_ path: String) throws -> INIFile {
        guard fileExists(path) else { return INIFile("") }
        return INIFile(String(decoding: try readFile(path, limit: 1 << 20), as: UTF8.self))
    }

    subscript(key: String) -> String? { settings[key].flatMap { $0.isEmpty ? nil : $0 } }

    /// The keys of the environment where it has any, else those of the profile.
    func credentials(accessKey: String?, secretKey: String?, token: String?) throws -> S3Credentials {
        switch (accessKey, secretKey) {
        case (let accessKey?, let secretKey?):
            return S3Credentials(accessKey: accessKey, secretKey: secretKey, sessionToken: token)
        case (nil, nil):
            if let accessKey = self["aws_access_key_id"], let secretKey = self["aws_secret_access_key"] {
                return S3Credentials(
                    accessKey: accessKey, secretKey: secretKey, sessionToken: self["aws_session_token"])
            }
            throw missing("neither")
        case (nil, _): throw missing("AWS_SECRET_ACCESS_KEY alone")
        case (_, nil): throw missing("AWS_ACCESS_KEY_ID alone")
        }
    }

    private func missing(_ got: String) -> Failure {
        .input(
            "no credentials for s3://",
            expected: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or profile [\(profile)] with "
                + "aws_access_key_id and aws_secret_access_key in \(credentialsPath)", got: got,
            advice: "set both variables, or write the file with: aws configure")
    }
}
