import Failures
import TestSupport
import Testing

@testable import Web

@Suite struct S3ServiceTests {
    private func service(_ server: LoopbackServer, region: String = "us-east-1") throws -> S3Service {
        S3Service(
            S3Configuration(
                region: region, endpoint: try WebAddress(server.address),
                credentials: S3Credentials(accessKey: "key", secretKey: "hidden", sessionToken: "hidden-too")))
    }

    private func failure(_ status: Int, _ body: String, headers: [String: String] = [:]) throws -> Failure {
        let server = try LoopbackServer { _ in .init(status, headers: headers, body: Array(body.utf8)) }
        let failure = try #require(throws: Failure.self) {
            try service(server).keys(from: S3Object("s3://bucket/p/"), client: hasty)
        }
        #expect(!"\(failure) \(failure.advice ?? "")".contains("hidden"))
        return failure
    }

    @Test func `a listing is read page by page to its end`() throws {
        let names = (0..<2300).map { "p/\($0) & <ü>.tar" }.shuffled()
        let server = try LoopbackServer { $0.listing(names) }
        let keys = try service(server).keys(from: S3Object("s3://bucket/p/"), client: hasty)
        #expect(keys == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        #expect(server.requests.count == 3)
        for request in server.requests {
            #expect(request.path.hasPrefix("/bucket?"))
            #expect(request.headers["authorization"]?.contains("Credential=key/") == true)
            #expect(request.headers["x-amz-security-token"] == "hidden-too")
        }
    }

    @Test func `a server that is overloaded is asked again`() throws {
        let count = Counter()
        let server = try LoopbackServer { request in
            count.next() < 3
                ? .init(503, body: Array("<Error><Code>SlowDown</Code></Error>".utf8)) : request.listing(["a.tar"])
        }
        #expect(try service(server).keys(from: S3Object("s3://bucket/"), client: hasty) == ["a.tar"])
        #expect(server.requests.count == 4)
        let down = try failure(503, "<Error><Code>SlowDown</Code><Message>Reduce</Message></Error>")
        #expect(down.blame == .run && down.got == "SlowDown: Reduce")
    }

    @Test(arguments: [true, false])
    func `a listing that is cut off is asked for again`(isToldOf: Bool) throws {
        let names = (0..<2300).map { "p/\($0).tar" }
        let count = Counter()
        let server = try LoopbackServer { request in
            var reply = request.listing(names)
            guard count.next() % 3 != 2 else { return reply }
            // A server may say how long the answer is, or leave that to its end.
            if isToldOf { reply.breakAfter = 500 } else { reply.body = Array(reply.body.prefix(500)) }
            return reply
        }
        let keys = try service(server).keys(from: S3Object("s3://bucket/p/"), client: hasty)
        #expect(keys.count == 2300 && server.requests.count == 9)
    }

    @Test(arguments: [
        (404, "NoSuchBucket", "no such bucket"), (404, "NoSuchKey", "no such key"), (403, "AccessDenied", "refuses"),
        (403, "InvalidAccessKeyId", "credentials"), (403, "SignatureDoesNotMatch", "credentials"),
        (400, "ExpiredToken", "credentials"), (301, "PermanentRedirect", "another region"),
        (400, "AuthorizationHeaderMalformed", "another region"), (403, "RequestTimeTooSkewed", "clock"),
        (400, "Unheard", "does not give"),
    ])
    func `what S3 answers is told with its code`(status: Int, code: String, what: String) throws {
        let told = try failure(
            status, "<?xml version=\"1.0\"?>\n<Error><Code>\(code)</Code><Message>A &amp; B</Message></Error>",
            headers: ["x-amz-bucket-region": "eu-west-3"])
        #expect(told.blame == .input && told.what.contains(what))
        #expect(told.got == "\(code): A & B" && told.place?.file == "s3://bucket/p/")
        #expect(what != "another region" || told.advice == "set AWS_REGION=eu-west-3")
    }

    @Test(arguments: [
        "", "not XML", "<html></html>", "<ListBucketResult></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a",
        "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    ])
    func `an answer that is no whole listing is a failure of the run`(body: String) throws {
        #expect(try failure(200, body).blame == .run)
    }

    @Test func `a listing that never ends is given up`() throws {
        let again = "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
        #expect(try failure(200, again + "</ListBucketResult>").what.contains("does not go on"))
        let long = "<ListBucketResult>" + String(repeating: "<Contents></Contents>", count: 900_000)
        #expect(try failure(200, long).what.contains("too long"))
    }

    @Test func `a refusal without a body is told by its status`() throws {
        #expect(try failure(403, "").got == "HTTP status 403")
        #expect(try failure(404, "<html>").got == "HTTP status 404")
    }

    @Test func `a redirect elsewhere takes no signature along`() throws {
        let there = try LoopbackServer { _ in .init(403) }
        let here = try LoopbackServer { _ in .init(307, headers: ["Location": "\(there.address)/bucket"]) }
        #expect(throws: Failure.self) {
            try service(here).keys(from: S3Object("s3://bucket/"), client: hasty)
        }
        #expect(there.requests.count == 1 && there.requests[0].headers["authorization"] == nil)
        #expect(there.requests[0].headers["x-amz-security-token"] == nil)
    }

    @Test(arguments: [
        "s3://", "s3:///key", "s3://ab/key", "s3://bucket/../x", "s3://bucket/a/./b", "s3://buc ket/x", "s3://b@cket/x",
        "s3://../x", "s3://bucket/" + String(repeating: "k", count: 1025),
    ])
    func `what names no place in S3 is refused`(text: String) throws {
        #expect(try #require(throws: Failure.self) { try S3Object(text) }.blame == .input)
    }
}
