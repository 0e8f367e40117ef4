import Failures
import Files
import JSON
import Testing

@testable import Web

private let golden = String(#filePath.dropLast("WebTests/S3SignatureTests.swift".count)) + "Goldens/s3_signatures.json"

@Suite struct S3SignatureTests {
    /// The examples that AWS publishes in "Signature Calculations for the Authorization Header".
    @Test(arguments: [
        (
            "/test.txt", [WebHeader("range", "bytes=0-9")],
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        ),
        ("/?lifecycle=", [], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", [], "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ])
    func `AWS's published examples`(path: String, signed: [WebHeader], signature: String) throws {
        let credentials = S3Credentials(
            accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        let headers = S3Signature(credentials: credentials, region: "us-east-1", time: 1_369_353_600).headers(
            for: try WebAddress("https://examplebucket.s3.amazonaws.com\(path)"), signing: signed)
        #expect(headers.contains(WebHeader("x-amz-date", "20130524T000000Z")))
        let authorization = try #require(headers.first { $0.name == "Authorization" }).value
        #expect(authorization.hasSuffix("Signature=\(signature)"))
        #expect(
            authorization.hasPrefix(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;"
            ))
    }

    @Test func `requests are addressed and signed as botocore does it`() throws {
        let cases = try #require(try JSON.read(golden).arrayValue)
        #expect(cases.count == 40)
        for example in cases {
            func text(_ key: String) throws -> String { try #require(example[key]?.stringValue) }
            let credentials = S3Credentials(
                accessKey: "AKIDEXAMPLE", secretKey: try text("secret"), sessionToken: example["token"]?.stringValue)
            let time = try #require(example["time"]?.intValue)
            let service = S3Service(
                S3Configuration(
                    region: try text("region"), endpoint: try WebAddress(text("endpoint")), credentials: credentials)
            ) { time }
            let object = S3Object(bucket: "bucket", key: try text("key"))
            let request =
                try example["page"]?.stringValue.map { try service.listing(of: object, after: $0) }
                ?? service.request(object)
            #expect(try request.address.text == text("address"))
            var headers: [String: String] = [:]
            for header in request.allHeaders { headers[header.name.lowercased()] = header.value }
            let expected = try #require(example["headers"]?.objectValue)
            #expect(headers.count == expected.count)
            for (name, value) in expected { #expect(headers[name] == value.stringValue) }
        }
    }

    /// Source: RFC 4231, cases 1, 2 and 6.
    @Test func `HMAC's published examples`() {
        func hex(_ key: [UInt8], _ message: String) -> String {
            hexadecimal(hmacSHA256(key: key, Array(message.utf8)))
        }
        #expect(
            hex([UInt8](repeating: 0x0B, count: 20), "Hi There")
                == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(
            hex(Array("Jefe".utf8), "what do ya want for nothing?")
                == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        #expect(
            hex([UInt8](repeating: 0xAA, count: 131), "Test Using Larger Than Block-Size Key - Hash Key First")
                == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    }
}
