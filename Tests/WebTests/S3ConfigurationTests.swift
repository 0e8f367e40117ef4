import Failures
import Files
import TestSupport
import Testing

@testable import Web

@Suite struct S3ConfigurationTests {
    private let folder: ScratchFolder

    init() throws {
        folder = try ScratchFolder()
        try Folder.make("\(folder.path)/.aws")
    }

    @discardableResult
    private func write(_ name: String, _ text: String) throws -> String { try folder.write(name, Array(text.utf8)) }

    private func read(_ variables: [String: String]) throws -> S3Configuration {
        var variables = variables
        variables["HOME"] = folder.path
        return try S3Configuration { variables[$0] }
    }

    @Test func `variables come before the files, and a profile is the one that is named`() throws {
        try write(
            ".aws/credentials",
            "# c\n[default]\naws_access_key_id = D\naws_secret_access_key=d=/+\n\n[work]\naws_access_key_id=W\n"
                + "aws_secret_access_key = w\naws_session_token = t\n")
        try write(
            ".aws/config",
            "[default]\nregion = eu-west-1\n[profile work]\nregion=ap-south-1\nendpoint_url = http://h:9000/x\n"
                + "s3 =\n  region = never\n")
        let plain = try read([:])
        #expect(plain.credentials == S3Credentials(accessKey: "D", secretKey: "d=/+"))
        #expect(plain.region == "eu-west-1" && plain.endpoint == nil)
        let work = try read(["AWS_PROFILE": "work"])
        #expect(work.credentials == S3Credentials(accessKey: "W", secretKey: "w", sessionToken: "t"))
        #expect(work.region == "ap-south-1" && work.endpoint?.text == "http://h:9000/x")
        let set = try read([
            "AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "e", "AWS_REGION": "us-west-2",
            "AWS_DEFAULT_REGION": "never", "AWS_ENDPOINT_URL": "http://never", "AWS_ENDPOINT_URL_S3": "http://s3",
        ])
        #expect(set.credentials == S3Credentials(accessKey: "E", secretKey: "e"))
        #expect(set.region == "us-west-2" && set.endpoint?.text == "http://s3")
        let elsewhere = try write("creds", "[default]\naws_access_key_id=X\naws_secret_access_key=x\n")
        #expect(try read(["AWS_SHARED_CREDENTIALS_FILE": elsewhere]).credentials.accessKey == "X")
    }

    @Test func `what is missing is named with where it was looked for`() throws {
        let none = try #require(throws: Failure.self) { try read([:]) }
        #expect(none.blame == .input)
        #expect(none.expected?.contains("AWS_SECRET_ACCESS_KEY") == true)
        #expect(none.expected?.contains("\(folder.path)/.aws/credentials") == true)
        let half = try #require(throws: Failure.self) { try read(["AWS_ACCESS_KEY_ID": "E"]) }
        #expect(half.got == "AWS_ACCESS_KEY_ID alone")
        let secret = try #require(throws: Failure.self) { try read(["AWS_SECRET_ACCESS_KEY": "hidden"]) }
        #expect(!"\(secret)".contains("hidden"))
        let profile = try #require(throws: Failure.self) { try read(["AWS_PROFILE": "gone"]) }
        #expect("\(profile)".contains("gone"))
        let keys = ["AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "e"]
        for (name, value) in [
            ("AWS_ENDPOINT_URL", "not one"), ("AWS_ENDPOINT_URL", "http://u:hidden@h"), ("AWS_REGION", "x/../y"),
        ] {
            let wrong = try #require(throws: Failure.self) { try read(keys.merging([name: value]) { $1 }) }
            #expect(wrong.blame == .input && !"\(wrong)".contains("hidden"))
        }
    }

    @Test func `credentials describe themselves without their secrets`() {
        let credentials = S3Credentials(accessKey: "hidden1", secretKey: "hidden2", sessionToken: "hidden3")
        var dumped = ""
        dump(S3Configuration(credentials: credentials), to: &dumped)
        #expect(!"\(credentials) \(String(reflecting: credentials)) \(dumped)".contains("hidden"))
    }
}
