import Failures
import Glibc

/// S3, or a server that speaks like it: signed requests for objects, listings, and what refusals mean.
///
/// Addresses are path-style (`HOST/BUCKET/KEY`), which every such server knows.
public struct S3Service: WebService {
    private let configuration: S3Configuration
    /// Seconds since 1970.
    private let clock: @Sendable () -> Int

    /// - Parameters:
    ///   - configuration: where S3 is, and who asks.
    ///   - clock: seconds since 1970, for the time in signatures.
    public init(_ configuration: S3Configuration, clock: @escaping @Sendable () -> Int = { Glibc.time(nil) }) {
        self.configuration = configuration
        self.clock = clock
    }

    /// A request of an object's bytes.
    public func request(_ object: S3Object) throws -> WebRequest {
        try request(object, path: percentEncoded("\(object.bucket)/\(object.key)", keeping: "/"), query: [])
    }

    /// The keys that begin as the object's does, in the order of their bytes; none where there are none.
    /// - Throws: what the service answers, as a failure of the input with its code; a failure of the run where it
    ///   answers what is no listing.
    public func keys(from prefix: S3Object, client: WebClient) throws -> [String] {
        var keys: [String] = []
        var token: String?
        repeat {
            let page = try page(of: prefix, after: token, client)
            keys += page.keys
            guard keys.count <= Self.mostKeys else {
                throw Failure.input(
                    "a listing without end", at: .init("\(prefix)"), expected: "at most \(Self.mostKeys) keys")
            }
            guard page.next == nil || page.next != token else {
                throw Failure.run("a listing that does not go on", at: .init("\(prefix)"), got: "the same page again")
            }
            token = page.next
        } while token != nil
        return keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// A thousand keys of 1,024 bytes, each byte written as an entity, are 6 MB.
    private static let mostListing = 16 << 20
    private static let mostKeys = 1_000_000

    /// A page of a listing; one that is cut off is asked for again.
    private func page(of prefix: S3Object, after token: String?, _ client: WebClient) throws -> ListingPage {
        let attempts = NetworkAttempts(client)
        while true {
            let request = try listing(of: prefix, after: token)
            let response = try client.open(request)
            guard response.status == 200 else { throw request.failure(of: response) }
            do {
                return try ListingPage(try response.body(limit: Self.mostListing), of: prefix)
            } catch let failure as Failure where failure.mayPass {
                try attempts.fail("a listing broke off", failure)
            }
        }
    }

    /// A request of a page of a listing: the first, or the one that the page before names.
    func listing(of prefix: S3Object, after token: String?) throws -> WebRequest {
        var query = [("list-type", "2"), ("prefix", prefix.key)]
        if let token { query.append(("continuation-token", token)) }
        return try request(prefix, path: percentEncoded(prefix.bucket), query: query)
    }

    private func request(_ object: S3Object, path: String, query: [(String, String)]) throws -> WebRequest {
        let base = configuration.endpoint.map { endpoint in
            let path = endpoint.path.hasSuffix("/") ? String(endpoint.path.dropLast()) : endpoint.path
            return "\(endpoint.scheme)://\(endpoint.authority)\(path)"
        }
        // The query is signed with its names sorted.
        let written = query.sorted { $0.0 < $1.0 }.map { "\(percentEncoded($0))=\(percentEncoded($1))" }
        var request = WebRequest(
            try WebAddress(
                "\(base ?? "https://s3.\(configuration.region).amazonaws.com")/\(path)"
                    + (written.isEmpty ? "" : "?" + written.joined(separator: "&"))))
        request.service = asking(for: object)
        return request
    }

    private func asking(for object: S3Object) -> S3Service {
        var service = self
        service.object = object
        return service
    }

    /// What the request is about, for messages.
    private var object: S3Object?

    /// The headers of a signature, version 4, with the present time.
    public func authorization(for address: WebAddress) -> [WebHeader] {
        S3Signature(credentials: configuration.credentials, region: configuration.region, time: clock())
            .headers(for: address)
    }

    /// What S3's code and sentence mean.
    public func failure(of response: WebResponse) -> Failure? {
        let error = (try? response.body(limit: 1 << 16)).flatMap { XMLElement($0) }.flatMap {
            $0.name == "Error" ? $0 : nil
        }
        let place = object.map { Failure.Place("\($0)") }
        guard let error, let code = error["Code"] else {
            switch response.status {
            case 403: return refusal("S3 refuses access", at: place, "HTTP status 403", Self.keysAdvice)
            case 404: return refusal("S3 has no such bucket or key", at: place, "HTTP status 404", nil)
            default: return nil
            }
        }
        let message = String((error["Message"] ?? "").prefix(300))
        let got = message.isEmpty ? code : "\(code): \(message)"
        switch code {
        case "NoSuchBucket":
            return refusal("there is no such bucket", at: place, got, "check the name and the endpoint")
        case "NoSuchKey": return refusal("there is no such key in the bucket", at: place, got, nil)
        case "AccessDenied", "AllAccessDisabled": return refusal("S3 refuses access", at: place, got, Self.keysAdvice)
        case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired":
            return refusal("S3 does not accept the credentials", at: place, got, Self.keysAdvice)
        case "RequestTimeTooSkewed":
            return refusal("S3 does not accept this machine's clock", at: place, got, "set the clock")
        case "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException":
            let region = response.headers["x-amz-bucket-region"] ?? error["Region"]
            return refusal(
                "the bucket lies in another region than \(configuration.region)", at: place, got,
                "set AWS_REGION\(region.map { "=\($0)" } ?? " to the bucket's region")")
        default:
            if response.isPassing {
                return .run("S3 can't serve this now", at: place, got: got, advice: "try again later").passing
            }
            return refusal("S3 does not give this", at: place, got, nil)
        }
    }

    private static let keysAdvice =
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile, and what they may read"

    private func refusal(_ what: String, at place: Failure.Place?, _ got: String, _ advice: String?) -> Failure {
        .input(what, at: place, got: got, advice: advice)
    }
}

/// One answer to `ListObjectsV2`.
private struct ListingPage {
    let keys: [String]
    /// The token of the next page; nil on the last.
    let next: String?

    /// How a listing begins that could not be read to its end.
    private static let beginnings = ["<?xml", "<ListBucketResult"].map { Array($0.utf8) }

    init(_ bytes: [UInt8], of prefix: S3Object) throws {
        let root = XMLElement(bytes)
        if root == nil, Self.beginnings.contains(where: bytes.starts) {
            throw Failure.run("a listing that is cut off", at: .init("\(prefix)"), expected: "ListBucketResult").passing
        }
        guard let root, root.name == "ListBucketResult", let isCut = root["IsTruncated"] else {
            throw Failure.run(
                "the answer is no listing of a bucket", at: .init("\(prefix)"), expected: "ListBucketResult",
                got: root?.name ?? "what is cut off or no XML",
                advice: "check that AWS_ENDPOINT_URL names a server that speaks S3")
        }
        let next = root["NextContinuationToken"].flatMap { $0.isEmpty ? nil : $0 }
        guard isCut == "false" || next != nil else {
            throw Failure.run("a listing that is cut off", at: .init("\(prefix)"), got: "no NextContinuationToken")
        }
        self.next = isCut == "true" ? next : nil
        keys = root.children.filter { $0.name == "Contents" }.compactMap { $0["Key"] }
    }
}
