import Failures
import Files
import TestSupport
import Testing

@testable import Web

/// A client that asks again at once. A server of these tests shares its processor with hundreds of others, so that only the
/// tests of stalls take one that is slow for one that has stalled.
let hasty: WebClient = {
    var client = WebClient()
    client.firstPause = 0.001
    client.longestPause = 0.01
    client.stallSeconds = 600
    return client
}()

@Suite struct WebAddressTests {
    @Test(arguments: [
        ("https://host/a/b.tar", "https://host/a/b.tar", "b.tar"),
        ("https://user:secret@host:8443/a%20b?token=secret", "https://host:8443/a%20b?…", "a b"),
        ("HTTP://HOST", "http://host/", ""),
        ("https://host/x?X-Amz-Signature=secret#part", "https://host/x?…", "x"),
        ("http://a@b:secret@[::1]:80/x", "http://[::1]/x", "x"),
    ])
    func `an address is told without its secrets`(text: String, told: String, name: String) throws {
        let address = try WebAddress(text)
        #expect("\(address)" == told)
        #expect(address.fileName == name)
        #expect(address.text == text)
    }

    @Test(arguments: [
        "", "secret", "ftp://secret@host/", "https://", "https://secret:x@", "https://host:secret/x",
        "https://ho st/secret", "https://a:sec/ret@host/x", "https://host/secret\r\nX: y", "file:///secret",
    ])
    func `what is no address is refused without being repeated`(text: String) throws {
        let failure = try #require(throws: Failure.self) { try WebAddress(text) }
        #expect(failure.blame == .input && !"\(failure)".contains("sec"))
    }
}

@Suite struct WebClientTests {
    @Test func `a server that fails is asked again, and not for ever`() throws {
        let count = Counter()
        let server = try LoopbackServer { request in
            request.path.hasPrefix("/never") || count.next() < 2
                ? .init(503, headers: ["Retry-After": "100000"]) : .init(200, body: [7])
        }
        let response = try hasty.open(WebRequest(WebAddress("\(server.address)/x")))
        #expect(response.status == 200)
        #expect(try response.body() == [7])
        #expect(server.requests.count == 3)
        let failure = try #require(throws: Failure.self) {
            try hasty.open(WebRequest(WebAddress("\(server.address)/never?token=secret")))
        }
        #expect(failure.blame == .run && "\(failure)".contains("503") && !"\(failure)".contains("secret"))
        #expect(server.requests.count == 3 + hasty.attempts)
    }

    @Test func `a connection that is refused is a failure of the run`() throws {
        let port = try LoopbackServer { _ in .init(200) }.port
        let failure = try #require(throws: Failure.self) {
            try hasty.open(WebRequest(WebAddress("http://127.0.0.1:\(port)/x")))
        }
        #expect(failure.blame == .run)
    }

    @Test func `redirects are followed, secrets stay at home, and circles end`() throws {
        let there = try LoopbackServer { _ in .init(200, body: [1]) }
        let here = try LoopbackServer { request in
            switch request.path {
            case "/away": .init(302, headers: ["Location": "\(there.address)/x", "X-Linked-Etag": "\"no hash\""])
            case "/near": .init(307, headers: ["Location": "next?a=b"])
            case "/next?a=b": .init(200, body: [2])
            default: .init(301, headers: ["Location": "/circle"])
            }
        }
        func open(_ path: String) throws -> WebResponse {
            try hasty.open(
                WebRequest(
                    WebAddress(here.address + path), headers: [WebHeader("X-Plain", "p")],
                    confinedHeaders: [WebHeader("Authorization", "Bearer secret")]))
        }
        #expect(try open("/away").body() == [1])
        #expect(there.requests.map { $0.headers["authorization"] } == [nil])
        #expect(there.requests.map { $0.headers["x-plain"] } == ["p"])
        #expect(try open("/near").body() == [2])
        #expect(here.requests.suffix(2).map { $0.headers["authorization"] } == ["Bearer secret", "Bearer secret"])
        let before = here.requests.count
        #expect(throws: Failure.self) { try open("/circle") }
        #expect(here.requests.count == before + hasty.mostRedirects + 1)
    }

    @Test func `a password goes along to the same host, and to no other`() throws {
        func redirected(_ from: String, _ to: String) throws -> String {
            try WebAddress(from).redirected(to: WebAddress(to)).text
        }
        #expect(try redirected("http://u:p@h/a", "http://h/b?c") == "http://u:p@h/b?c")
        #expect(try redirected("http://u:p@h/a", "https://h/b") == "https://u:p@h/b")
        #expect(try redirected("http://u:p@h/a", "http://v:q@h/b") == "http://v:q@h/b")
        #expect(try redirected("http://h/a@b", "http://h/b") == "http://h/b")
        for other in ["http://i/b", "http://h:81/b", "https://h:444/b"] {
            #expect(try redirected("http://u:p@h/a", other) == other)
        }
        let there = try LoopbackServer { _ in .init(200, body: [1]) }
        let here = try LoopbackServer { request in
            switch request.path {
            case "/near": .init(302, headers: ["Location": "/next"])
            case "/away": .init(302, headers: ["Location": there.address])
            default: .init(request.headers["authorization"] == nil ? 401 : 200, body: [2])
            }
        }
        let address = "http://user:word@127.0.0.1:\(here.port)"
        #expect(try hasty.open(WebRequest(WebAddress(address + "/near"))).body() == [2])
        #expect(try hasty.open(WebRequest(WebAddress(address + "/away"))).body() == [1])
        #expect(there.requests.map { $0.headers["authorization"] } == [nil])
    }

    @Test func `a refusal names what was sent, and the hub's token only where it counts`() throws {
        let server = try LoopbackServer { _ in .init(401) }
        func advice(_ user: String, _ own: String? = nil) throws -> String? {
            var request = WebRequest(try WebAddress("http://\(user)127.0.0.1:\(server.port)/x"))
            request.accessAdvice = own
            return try request.failure(of: hasty.open(request)).advice
        }
        #expect(try advice("") == "give the address with its user and password, or signed")
        #expect(try advice("u:p@") == "check the user and password of the address, or sign it anew")
        #expect(try advice("", "set HF_TOKEN") == "set HF_TOKEN")
    }

    @Test func `a redirect to another kind of address is refused`() throws {
        let server = try LoopbackServer { _ in .init(302, headers: ["Location": "file:///etc/passwd"]) }
        #expect(throws: Failure.self) { try hasty.open(WebRequest(WebAddress(server.address))) }
        #expect(server.requests.count == 1)
    }

    @Test func `a wait is given up when that is asked for`() throws {
        let server = try LoopbackServer { _ in
            var reply = LoopbackServer.Reply(200, body: [1, 2, 3])
            reply.stallAfter = 1
            return reply
        }
        let asked = Counter()
        var client = hasty
        client.isCancelled = { asked.next() > 3 }
        let stream = try WebStream(WebRequest(WebAddress(server.address)), client: client)
        #expect(throws: CancellationError.self) { _ = try stream.readAll() }
    }

    @Test func `a range is asked for as given`() throws {
        let server = try LoopbackServer { $0.reply(mixedBytes(100)) }
        var request = WebRequest(try WebAddress(server.address))
        (request.firstByte, request.lastByte) = (10, 19)
        #expect(try hasty.open(request).status == 206)
        #expect(server.requests[0].headers["range"] == "bytes=10-19")
    }
}

@Suite struct WebStreamTests {
    @Test func `a stream goes on where each connection broke off, and asks for the rest alone`() throws {
        let content = mixedBytes(300_000)
        let cuts = [0, 1, 70_000, 70_001, 200_000]
        let count = Counter()
        let server = try LoopbackServer { request in
            var reply = request.reply(content)
            let number = count.next()
            if number < cuts.count { reply.breakAfter = cuts[number] - (request.firstByte ?? 0) }
            return reply
        }
        let stream = try WebStream(WebRequest(WebAddress(server.address)), client: hasty)
        let (bytes, restarts) = try stream.readAll()
        #expect(bytes == content && restarts == 0)
        #expect(server.requests.map(\.firstByte) == [nil, nil, 1, 70_000, 70_001, 200_000])
        #expect(server.requests.suffix(4).allSatisfy { $0.headers["if-range"] == "\"one\"" })
    }

    @Test func `a server that always breaks off at one place is given up`() throws {
        let server = try LoopbackServer { request in
            var reply = request.reply(mixedBytes(1000))
            reply.breakAfter = 500 - (request.firstByte ?? 0)
            return reply
        }
        let stream = try WebStream(WebRequest(WebAddress(server.address)), client: hasty)
        #expect(throws: Failure.self) { try stream.readAll() }
        #expect(server.requests.count == hasty.attempts)
    }

    @Test func `a stalled server counts as one that broke off`() throws {
        let content = mixedBytes(1000)
        let count = Counter()
        let server = try LoopbackServer { request in
            var reply = request.reply(content)
            if count.next() == 0 { reply.stallAfter = 400 }
            return reply
        }
        var client = hasty
        client.stallSeconds = 2
        let stream = try WebStream(WebRequest(WebAddress(server.address)), client: client)
        #expect(try stream.readAll().bytes == content)
        #expect(server.requests.map(\.firstByte) == [nil, 400])
    }

    @Test(arguments: [true, false])
    func `a file that changes on the way is read from its beginning`(heedsIfRange: Bool) throws {
        let (old, new) = (mixedBytes(1000), mixedBytes(1200, seed: 2))
        let count = Counter()
        let server = try LoopbackServer { request in
            if count.next() == 0 {
                var reply = request.reply(old, etag: "\"old\"")
                reply.breakAfter = 300
                return reply
            }
            guard !heedsIfRange, request.firstByte != nil else { return request.reply(new, etag: "\"new\"") }
            var reply = LoopbackServer.Reply(206, body: Array(new[300...]))
            reply.headers = ["Content-Range": "bytes 300-1199/1200", "ETag": "\"new\""]
            return reply
        }
        let stream = try WebStream(WebRequest(WebAddress(server.address)), client: hasty)
        let (bytes, restarts) = try stream.readAll()
        #expect(bytes == new && restarts == 1)
        #expect(stream.validator.etag == "\"new\"")
    }

    @Test func `what a reader leaves waiting is not counted as a stall`() throws {
        let content = mixedBytes(4 << 20)
        let server = try LoopbackServer { $0.reply(content) }
        var client = hasty
        client.stallSeconds = 1
        client.attempts = 1
        let stream = try WebStream(WebRequest(WebAddress(server.address)), client: client)
        let bytes = try stream.readAll(pausing: 2).bytes
        #expect(bytes == content && server.requests.count == 1)
    }
}
