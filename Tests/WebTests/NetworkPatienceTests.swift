import Failures
import Synchronization
import TestSupport
import Testing

@testable import Web

/// How long a network that fails is waited for.
@Suite struct NetworkPatienceTests {
    /// What was noted.
    private final class Notes: Sendable {
        private let all = Mutex([String]())
        var lines: [String] { all.withLock(\.self) }
        @Sendable func add(_ line: String) { all.withLock { $0.append(line) } }
    }

    private let notes = Notes()

    private func client(_ duration: Duration, isBegun: Bool = true) -> WebClient {
        var client = hasty
        client.note = notes.add
        let patience = NetworkPatience(duration, note: notes.add)
        client.patience = patience
        if isBegun { patience.begin() }
        return client
    }

    @Test func `a server that is down for longer than the attempts is waited for, and told of once`() throws {
        let count = Counter()
        let server = try LoopbackServer { _ in count.next() < 12 ? .init(503) : .init(200, body: [7]) }
        let response = try client(.seconds(600)).open(WebRequest(WebAddress("\(server.address)/x")))
        #expect(try response.body() == [7] && server.requests.count == 13)
        #expect(notes.lines.count == 2, "\(notes.lines)")
        let first = "the network fails: 127.0.0.1:\(server.port) answers 503; trying again for up to 10 min"
        #expect(notes.lines.first == first)
        #expect(notes.lines.last?.hasPrefix("the network answers again, after ") == true)
    }

    @Test func `a stream that breaks off and is refused goes on where it was`() throws {
        let content = mixedBytes(3_000_000)
        let count = Counter()
        let server = try LoopbackServer { request in
            var reply = request.reply(content)
            let number = count.next()
            if (1..<10).contains(number) { return .init(429) }
            if number == 0 || number == 10 { reply.breakAfter = 1_000_000 }
            return reply
        }
        let stream = try WebStream(WebRequest(WebAddress("\(server.address)/x")), client: client(.seconds(600)))
        var read: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        reading: while true {
            let step = try buffer.withUnsafeMutableBytes { try stream.read(into: $0) }
            switch step {
            case .bytes(let bytes): read += buffer[..<bytes]
            case .restarted: Issue.record("it began anew")
            case .end: break reading
            }
        }
        #expect(read == content)
        #expect(notes.lines.count == 4, "\(notes.lines)")
    }

    @Test func `once the time is over the failure is told, as one that may pass`() throws {
        let server = try LoopbackServer { _ in .init(503, headers: ["Retry-After": "100000"]) }
        let failure = try #require(throws: Failure.self) {
            try client(.milliseconds(100)).open(WebRequest(WebAddress("\(server.address)/x")))
        }
        #expect(failure.mayPass && failure.blame == .run)
        #expect(notes.lines.count == 1, "\(notes.lines)")
    }

    @Test func `until it is begun the attempts decide`() throws {
        let server = try LoopbackServer { _ in .init(503) }
        let client = client(.seconds(600), isBegun: false)
        #expect(throws: Failure.self) { try client.open(WebRequest(WebAddress("\(server.address)/x"))) }
        #expect(server.requests.count == client.attempts)
    }

    @Test func `a wait is given up when that is asked for`() throws {
        let server = try LoopbackServer { _ in .init(503) }
        var client = client(.seconds(600))
        client.isCancelled = { server.requests.count >= 3 }
        #expect(throws: CancellationError.self) { try client.open(WebRequest(WebAddress("\(server.address)/x"))) }
    }
}
