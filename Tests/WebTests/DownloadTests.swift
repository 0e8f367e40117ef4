import Failures
import Files
import Foundation
import TestSupport
import Testing

@testable import Web

@Suite struct DownloadTests {
    private let scratch: ScratchFolder
    private var path: String { "\(scratch.path)/file" }

    init() throws { scratch = try ScratchFolder() }

    private func download(
        _ server: LoopbackServer, path: String? = nil, sha256: String? = nil, client: WebClient = hasty
    ) throws -> Download.Report {
        let address = try WebAddress("\(server.address)/models/file?token=secret")
        return try Download(WebRequest(address), to: path ?? self.path, sha256: sha256, client: client)()
    }

    private func digest(_ bytes: [UInt8]) -> String {
        var digest = SHA256()
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    /// A client that gives up at the first break.
    private var impatient: WebClient {
        var client = hasty
        client.attempts = 1
        return client
    }

    @Test(arguments: [0, 1, 65_536, 99_999, 100_000])
    func `a later start asks for the rest alone`(cut: Int) throws {
        let content = mixedBytes(100_000)
        let count = Counter()
        let server = try LoopbackServer { request in
            var reply = request.reply(content)
            if count.next() == 0 {
                reply.breakAfter = cut
                // The head promises a byte more than there will be.
                if cut == content.count { reply.headers["Content-Length"] = "\(cut + 1)" }
            }
            return reply
        }
        #expect(throws: Failure.self) { try download(server, client: impatient) }
        #expect(try scratch.names() == (cut == 0 ? [] : ["file.part", "file.part.json"]))
        if cut > 0 {
            #expect(try scratch.read("file.part") == Array(content.prefix(cut)))
            #expect(!String(decoding: try scratch.read("file.part.json"), as: UTF8.self).contains("secret"))
        }

        let report = try download(server, sha256: digest(content).uppercased())
        #expect(try scratch.names() == ["file"])
        #expect(try scratch.read("file") == content)
        #expect(report.bytes == content.count && report.isChecked && report.sha256 == digest(content))
        if cut < content.count {
            #expect(report.resumedAt == cut)
            #expect(server.requests.map(\.firstByte) == [nil, cut == 0 ? nil : cut])
        }
    }

    @Test func `all there but for the name asks for nothing more`() throws {
        let content = mixedBytes(5000)
        let server = try LoopbackServer { $0.reply(content) }
        try scratch.write("file.part", content)
        try scratch.write(
            "file.part.json",
            Array(
                #"{"address": "\#(server.address)/models/file?…", "etag": "\"one\"", "total": 5000}"#.utf8))
        let report = try download(server)
        #expect(report.resumedAt == 5000 && server.requests.map(\.firstByte) == [5000])
        #expect(try scratch.read("file") == content)
    }

    @Test func `a file that changed is fetched anew`() throws {
        let (old, new) = (mixedBytes(3000), mixedBytes(2500, seed: 3))
        let count = Counter()
        let server = try LoopbackServer { request in
            guard count.next() == 0 else { return request.reply(new, etag: "\"two\"") }
            var reply = request.reply(old)
            reply.breakAfter = 2000
            return reply
        }
        #expect(throws: Failure.self) { try download(server, client: impatient) }
        let report = try download(server)
        #expect(report.resumedAt == 0 && report.sha256 == digest(new))
        #expect(try scratch.read("file") == new)
    }

    @Test(arguments: [true, false])
    func `a server without ranges, or without anything to tell a file by, starts anew`(hasTag: Bool) throws {
        let content = mixedBytes(3000)
        let count = Counter()
        let server = try LoopbackServer { request in
            var reply = LoopbackServer.Reply(200, headers: hasTag ? ["ETag": "\"one\""] : [:], body: content)
            if count.next() == 0 { reply.breakAfter = 2000 }
            return reply
        }
        #expect(throws: Failure.self) { try download(server, client: impatient) }
        #expect(try download(server).resumedAt == 0)
        #expect(try scratch.read("file") == content)
        #expect(server.requests.map(\.firstByte) == [nil, hasTag ? 2000 : nil])
    }

    @Test(arguments: ["{", "[1]", #"{"address": "http://elsewhere/x", "etag": "\"one\""}"#])
    func `a part without a note of this address is not used`(note: String) throws {
        let content = mixedBytes(3000)
        let server = try LoopbackServer { $0.reply(content) }
        try scratch.write("file.part", mixedBytes(1000, seed: 9))
        try scratch.write("file.part.json", Array(note.utf8))
        #expect(try download(server).resumedAt == 0)
        #expect(try scratch.read("file") == content)
    }

    @Test func `a wrong hash leaves no file, whoever said the right one`() throws {
        let content = mixedBytes(3000)
        let wrong = String(repeating: "0", count: 64)
        let server = try LoopbackServer { request in
            guard request.path.hasPrefix("/models") else { return request.reply(content) }
            return .init(302, headers: ["Location": "/blob", "X-Linked-Etag": "\"\(wrong)\""])
        }
        let failure = try #require(throws: Failure.self) { try download(server) }
        #expect(failure.blame == .input && failure.expected?.contains(wrong) == true)
        #expect(failure.got == digest(content))
        #expect(try scratch.names() == [])
        #expect(try download(server, sha256: digest(content)).isChecked)
        #expect(throws: Failure.self) { try download(server, path: "\(scratch.path)/other", sha256: wrong) }
        #expect(try scratch.names() == ["file"])
    }

    @Test func `the hub's own hash is checked, and a file without one says so`() throws {
        let content = mixedBytes(3000)
        let known = digest(content)
        let hub = try LoopbackServer { request in
            guard request.path.hasPrefix("/models") else { return request.reply(content) }
            return .init(302, headers: ["Location": "/blob", "X-Linked-Etag": "\"\(known)\""])
        }
        #expect(try download(hub).isChecked)
        let plain = try LoopbackServer { $0.reply(content) }
        #expect(try !download(plain, path: "\(scratch.path)/plain").isChecked)
    }

    @Test func `a place that can't be written to is named`() throws {
        let server = try LoopbackServer { $0.reply([1]) }
        for place in ["\(scratch.path)/none/file", scratch.path, "/proc/version/file"] {
            let failure = try #require(throws: Failure.self) { try download(server, path: place) }
            #expect("\(failure)".contains(place))
        }
        #expect(server.requests.isEmpty)
    }

    @Test func `a second download to the same place is refused`() throws {
        let server = try LoopbackServer { $0.reply([1]) }
        let held = try PartFile(path: path)
        let failure = try #require(throws: Failure.self) { try download(server) }
        #expect(failure.blame == .run && "\(failure)".contains("another process"))
        withExtendedLifetime(held) {}
    }

    @Test(arguments: [404, 403, 400])
    func `a file that is not there leaves nothing behind`(status: Int) throws {
        let server = try LoopbackServer { _ in .init(status, body: [1, 2, 3]) }
        let failure = try #require(throws: Failure.self) { try download(server) }
        #expect(failure.blame == .input && "\(failure)".contains("\(status)") && !"\(failure)".contains("secret"))
        #expect(server.requests.count == 1)
        #expect(try scratch.names() == [])
    }
}

extension WebStream {
    /// All bytes since the last restart, and how often it began again.
    func readAll(pausing: Double = 0) throws -> (bytes: [UInt8], restarts: Int) {
        var bytes: [UInt8] = []
        var restarts = 0
        var piece = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            switch try piece.withUnsafeMutableBytes({ try read(into: $0) }) {
            case .bytes(let count):
                if bytes.isEmpty && pausing > 0 { usleep(UInt32(pausing * 1e6)) }
                bytes += piece[..<count]
            case .restarted:
                bytes = []
                restarts += 1
            case .end: return (bytes, restarts)
            }
        }
    }
}
