import Failures
import Files
import Synchronization
import TestSupport
import Testing

@testable import Shards
@testable import Web

/// Ways to the shards of a test, which ask again at once. Only a test of stalls takes a server that is slow, for all that runs
/// beside it, for one that has stalled.
func hastyAccess(
    _ variables: [String: String] = [:], cache: String? = nil, stallSeconds: Double = 600, attempts: Int? = nil
) -> ShardAccess {
    var client = WebClient()
    client.firstPause = 0.001
    client.longestPause = 0.01
    client.stallSeconds = stallSeconds
    client.attempts = attempts ?? client.attempts
    return ShardAccess(client: client, cacheFolder: cache) { variables[$0] }
}

/// Variables with which the S3 of a server can be used.
func s3Variables(_ server: LoopbackServer) -> [String: String] {
    ["AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_ENDPOINT_URL": server.address]
}

@Suite struct RemoteShards {
    private let folder: TemporaryFolder
    private let tar: [UInt8]
    private let expected: [Sample]

    /// A tar of 100 samples of about 20 kB each, and what is in it.
    private static let whole = Result {
        let folder = try TemporaryFolder()
        let noise = mixedBytes(21_000)
        let path = try folder.tar(
            "whole.tar",
            (0..<100).flatMap { number in
                [
                    (name: "s\(number).jpg", bytes: Array(noise.dropFirst(10 * number).prefix(20_000 + number))),
                    (name: "s\(number).txt", bytes: Array("caption \(number)".utf8)),
                ]
            })
        return (tar: try readFile(path), samples: samples(of: ShardReader(files: [path])))
    }

    init() throws {
        folder = try TemporaryFolder()
        (tar, expected) = try Self.whole.get()
    }

    private func reader(_ specification: String, _ access: ShardAccess = hastyAccess()) throws -> ShardReader {
        ShardReader(shards: try resolveShards([specification], access: access))
    }

    private func isWhole(_ read: [Sample]) -> Bool {
        read.map(\.key) == expected.map(\.key) && read.map(\.members) == expected.map(\.members)
    }

    @Test func `a connection cut 20 times costs no sample and gives none twice`() throws {
        let count = Counter()
        let server = try LoopbackServer { [tar] request in
            var reply = request.reply(tar)
            if request.lastByte == nil, count.next() < 20 { reply.breakAfter = 80_000 + 999 }
            return reply
        }
        let reader = try reader("\(server.address)/x.tar")
        #expect(isWhole(samples(of: reader)))
        #expect(reader.drops.isEmpty)
        #expect(server.requests.count == 1 + 21)
    }

    @Test func `a server without ranges is read from the beginning again, and nothing given twice`() throws {
        let count = Counter()
        let server = try LoopbackServer { [tar] _ in
            var reply = LoopbackServer.Reply(200, headers: ["ETag": "\"one\""], body: tar)
            let number = count.next()
            if number > 0, number < 5 { reply.breakAfter = number * 300_001 }
            return reply
        }
        let reader = try reader("\(server.address)/x.tar")
        #expect(isWhole(samples(of: reader)))
        #expect(reader.drops.isEmpty)
    }

    @Test(arguments: [("\"one\"", "\"two\""), (nil, nil)])
    func `a file that changed breaks its shard alone`(before: String?, after: String?) throws {
        let count = Counter()
        var other = tar
        other[300_000] ^= 1
        let server = try LoopbackServer { [tar, other] request in
            if request.path == "/2.tar" { return request.reply(tar) }
            if request.lastByte != nil { return request.reply(tar, etag: before) }
            let isFirst = count.next() == 0
            var reply = LoopbackServer.Reply(200, body: isFirst || before != nil ? tar : other)
            reply.headers["ETag"] = isFirst ? before : after
            if isFirst { reply.breakAfter = 500_000 }
            return reply
        }
        let reader = try reader("\(server.address)/{1,2}.tar")
        let read = samples(of: reader)
        #expect(reader.drops.broken["shard can't be read: the file changed while it was read"] == 1)
        #expect(isWhole(read.suffix(100)))
        #expect(read.count > 110 && read.count < 130)
        #expect(zip(read, expected).prefix(read.count - 101).allSatisfy { $0.members == $1.members })
    }

    @Test func `a file that its server says nothing to know by is known by its bytes`() throws {
        let count = Counter()
        let server = try LoopbackServer { [tar] _ in
            var reply = LoopbackServer.Reply(200, body: tar)
            let number = count.next()
            if number > 0, number < 5 { reply.breakAfter = number * 300_001 }
            return reply
        }
        let reader = try reader("\(server.address)/x.tar")
        #expect(isWhole(samples(of: reader)))
        #expect(reader.drops.isEmpty && server.requests.count == 1 + 5)
    }

    @Test(arguments: [0, 700_000])
    func `where an outage ends the reading, nothing counts as lost`(bytes: Int) throws {
        let server = try LoopbackServer { [tar] request in
            var reply = request.reply(tar)
            if request.path == "/2.tar", request.lastByte == nil {
                if request.firstByte != nil || bytes == 0 { return .init(503) }
                reply.breakAfter = bytes
            }
            return reply
        }
        let shards = try resolveShards(["\(server.address)/{1,2,3}.tar"], access: hastyAccess())
        let reader = ShardReader(shards: shards, outages: .end)
        let read = samples(of: reader)
        #expect(reader.drops.isEmpty && reader.outage?.mayPass == true && reader.outage?.blame == .run)
        #expect(reader.outage?.place?.file.hasSuffix("/2.tar") == true)
        // What the network broke off in is not handed out, nor what may not have been whole.
        #expect(bytes == 0 ? read.count == 100 : (125...132).contains(read.count))
        #expect(zip(read.dropFirst(100), expected).allSatisfy { $0.members == $1.members })
        #expect(reader.next() == nil)

        let counting = ShardReader(shards: shards)
        #expect(isWhole(samples(of: counting).suffix(100)) && counting.outage == nil)
        #expect(counting.drops.broken.keys.contains { $0.hasPrefix("shard can't be read: ") })
    }

    @Test func `a stream ends with the failure of the network, and at a place that it goes on from later`() throws {
        let isDown = Counter()
        let server = try LoopbackServer { [tar] request in
            request.lastByte == nil && isDown.next() < 6 ? .init(503) : request.reply(tar)
        }
        let shards = try resolveShards(["\(server.address)/x.tar"], access: hastyAccess())
        let stream = try SampleStream(shards: shards, options: .init(seed: 1))
        let failure = try #require(throws: Failure.self) { try stream.next() }
        #expect(failure.mayPass && failure.blame == .run && stream.takeDrops().isEmpty)
        // Six times it is down, and five attempts are made: the second stream meets the last 503, and then the shard.
        #expect(try SampleStream(shards: shards, options: .init(seed: 1)).next() != nil)
    }

    @Test(arguments: [(503, "the server can't serve this now"), (404, "the server has no such file")])
    func `at a resume what can't be read is told as that, and not as changed data`(status: Int, what: String) throws {
        let isDown = Mutex(false)
        let server = try LoopbackServer { [tar] request in
            isDown.withLock(\.self) ? .init(status) : request.reply(tar)
        }
        let shards = try resolveShards(["\(server.address)/x.tar"], access: hastyAccess())
        let options = SampleStream.Options(seed: 1, bufferSize: 5)
        let stream = try SampleStream(shards: shards, options: options)
        for _ in 0..<10 { _ = try stream.next() }
        isDown.withLock { $0 = true }
        let again = try SampleStream(shards: shards, options: options, at: stream.position)
        let failure = try #require(throws: Failure.self) { try again.next() }
        #expect(failure.what == what && failure.mayPass == (status == 503))
        #expect(failure.advice?.contains("experiment_id") != true)
    }

    @Test func `a server that stalls breaks its shard alone`() throws {
        let server = try LoopbackServer { [tar] request in
            var reply = request.reply(tar)
            if request.path == "/1.tar", request.lastByte == nil { reply.stallAfter = 0 }
            return reply
        }
        let reader = try reader("\(server.address)/{1,2}.tar", hastyAccess(stallSeconds: 2, attempts: 2))
        #expect(isWhole(samples(of: reader)))
        #expect(reader.drops.broken == ["shard can't be read: the connection failed": 1])
    }

    @Test func `what is missing is told at once where it stands first or last, else when it is read`() throws {
        let server = try LoopbackServer { [tar] request in
            request.path.contains("gone") ? .init(404) : request.reply(tar)
        }
        for names in ["gone", "{gone,a}", "{a,gone}", "{a,b,gone}"] {
            let failure = try #require(throws: Failure.self) { try self.reader("\(server.address)/\(names).tar") }
            #expect(failure.blame == .input && failure.place?.file == "\(server.address)/gone.tar")
        }
        let reader = try reader("\(server.address)/{a,gone,b}.tar")
        #expect(samples(of: reader).count == 200)
        #expect(reader.drops.broken == ["shard can't be read: the server has no such file": 1])
    }

    @Test func `the tars below a prefix in S3 are read, and one by its key`() throws {
        let keys = ["p/0.tar", "p/1 ü+.tar", "p/readme.txt", "p/sub/2.tar"]
        let server = try LoopbackServer { [tar] request in
            request.path.contains("?") ? request.listing(keys, page: 2) : request.reply(tar)
        }
        let access = hastyAccess(s3Variables(server))
        let reader = try reader("s3://bucket/p/", access)
        #expect(
            samples(of: reader).map(\.shard)
                == ["p/0.tar", "p/1 ü+.tar", "p/sub/2.tar"].flatMap { key in
                    [String](repeating: "s3://bucket/\(key)", count: 100)
                })
        #expect(reader.drops.isEmpty)
        #expect(server.requests.map(\.path).contains("/bucket/p/1%20%C3%BC%2B.tar"))
        #expect(server.requests.allSatisfy { $0.headers["authorization"] != nil })
        #expect(isWhole(samples(of: try self.reader("s3://bucket/p/0.tar", access))))
    }

    @Test func `what S3 refuses is told at once`() throws {
        let server = try LoopbackServer { request in
            if request.path.hasPrefix("/empty") { return request.listing([]) }
            let code = request.path.hasPrefix("/bucket/") ? "NoSuchKey" : "NoSuchBucket"
            return .init(404, body: Array("<Error><Code>\(code)</Code><Message>No</Message></Error>".utf8))
        }
        let access = hastyAccess(s3Variables(server))
        for (specification, got) in [
            ("s3://bucket/x.tar", "NoSuchKey: No"), ("s3://none/x.tar", "NoSuchBucket: No"),
            ("s3://none/x/", "NoSuchBucket: No"), ("s3://empty/x/", nil),
        ] {
            let failure = try #require(throws: Failure.self) { try reader(specification, access) }
            #expect(failure.blame == .input && failure.got == got)
            #expect(failure.place?.file == specification)
        }
        let asked = server.requests.count
        #expect(throws: Failure.self) { try reader("s3://bucket/x.tar") }
        #expect(server.requests.count == asked)
    }

    @Test func `endless bytes that are no tar are given up`() throws {
        let server = try LoopbackServer { _ in .init(200, body: [UInt8](repeating: 7, count: 8 << 20)) }
        let reader = try reader("\(server.address)/x.tar")
        #expect(samples(of: reader).isEmpty)
        #expect(reader.drops.broken.values.reduce(0, +) == 1)
    }

    // MARK: The cache

    @Test func `a kept shard is read without its server, which is asked once in a run`() throws {
        let content = mixedBytes(10)
        let server = try LoopbackServer { [tar] request in
            request.reply(request.path == "/other" ? content : tar, etag: "\"one\"")
        }
        let cache = "\(folder.path)/cache"
        for run in 0..<3 {
            let access = hastyAccess(cache: cache)
            let shards = try resolveShards(["\(server.address)/x.tar"], access: access)
            let before = server.requests.count
            for _ in 0..<2 {
                let reader = ShardReader(shards: shards)
                #expect(isWhole(samples(of: reader)) && reader.drops.isEmpty)
            }
            #expect(server.requests.count == before + 1)
            #expect((server.requests.last?.headers["if-none-match"] == nil) == (run == 0))
        }
        #expect(try Folder.names(cache).count == 2)
    }

    @Test func `a shard signed anew is the one that is kept, and what was not used for longest goes`() throws {
        let server = try LoopbackServer { [tar] request in request.reply(tar) }
        let cache = "\(folder.path)/cache"
        func read(_ name: String, limit: Int) throws -> [String] {
            var access = hastyAccess(cache: cache)
            access.cacheBytes = limit
            let before = server.requests.count
            #expect(isWhole(samples(of: try reader("\(server.address)/\(name)", access))))
            // Of a shard that is kept no byte is asked for, and only whether it is the same.
            return server.requests.dropFirst(before).filter { $0.lastByte == nil && $0.headers["if-none-match"] == nil }
                .map(\.path)
        }
        let room = tar.count * 5 / 2
        #expect(try read("a.tar?part=1&X-Amz-Signature=1", limit: room) == ["/a.tar?part=1&X-Amz-Signature=1"])
        #expect(try read("a.tar?part=1&X-Amz-Signature=2", limit: room) == [])
        #expect(try read("a.tar?part=2&X-Amz-Signature=1", limit: room) == ["/a.tar?part=2&X-Amz-Signature=1"])
        #expect(try read("a.tar?part=1", limit: room) == [])
        #expect(try read("b.tar", limit: room) == ["/b.tar"])
        // Three do not fit: part 2 was used before the others.
        #expect(try Folder.names(cache).filter { $0.hasSuffix(".tar") }.count == 2)
        #expect(try read("a.tar?part=1", limit: room) == [])
        #expect(try read("a.tar?part=2", limit: room) == ["/a.tar?part=2"])
        #expect(try read("c.tar", limit: 1) == ["/c.tar"])
        #expect(try Folder.names(cache).filter { $0.hasSuffix(".tar") }.count == 1)
    }

    @Test func `a shard that changed is downloaded again, and without a server the kept one is read`() throws {
        let cache = "\(folder.path)/cache"
        let other = try readFile(folder.samples("other", count: 3))
        let isChanged = Counter()
        var server: LoopbackServer? = try LoopbackServer { [tar] request in
            if request.lastByte != nil { return request.reply(tar) }
            return isChanged.next() == 0 ? request.reply(tar) : request.reply(other, etag: "\"two\"")
        }
        let address = try #require(server?.address)
        func read() throws -> [Sample] { samples(of: try reader("\(address)/x.tar", hastyAccess(cache: cache))) }
        #expect(try isWhole(read()))
        #expect(try read().count == 3)
        server = nil
        #expect(try read().count == 3)
    }

    @Test func `where nothing can be kept, shards are read all the same`() throws {
        let server = try LoopbackServer { [tar] in $0.reply(tar) }
        let cache = try folder.write("file", [1])
        #expect(isWhole(samples(of: try reader("\(server.address)/x.tar", hastyAccess(cache: cache)))))
    }
}
