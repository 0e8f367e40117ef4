import Foundation
import Synchronization

/// A small HTTP server on the loopback interface, for tests of what goes wrong on the way.
///
/// Each connection carries one request and has a thread of its own; a handler makes the reply, whose body can break
/// off, stall, or be of another length than its head says.
public final class LoopbackServer: Sendable {
    /// What came in.
    public struct Request: Sendable {
        /// Behind the host, with the query.
        public let path: String
        /// By their names in lower case.
        public let headers: [String: String]

        /// The first byte of `Range: bytes=N-`.
        public var firstByte: Int? {
            headers["range"].flatMap { $0.hasPrefix("bytes=") ? Int($0.dropFirst(6).prefix { $0 != "-" }) : nil }
        }

        /// The last byte of `Range: bytes=N-M`.
        public var lastByte: Int? { headers["range"]?.split(separator: "-").dropFirst().first.flatMap { Int($0) } }
    }

    /// What goes out.
    public struct Reply: Sendable {
        /// Of HTTP, such as 200.
        public var status: Int
        /// By their names.
        public var headers: [String: String]
        /// All of it, whatever of it is sent.
        public var body: [UInt8]
        /// Closes the connection after so many bytes of the body.
        public var breakAfter: Int?
        /// Sends nothing more after so many bytes of the body, and keeps the connection.
        public var stallAfter: Int?

        /// A reply that is sent whole.
        public init(_ status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
            self.status = status
            self.headers = headers
            self.body = body
        }
    }

    /// Chosen by the system.
    public let port: Int
    /// Without a slash at its end.
    public var address: String { "http://127.0.0.1:\(port)" }
    /// What came in so far, in order.
    public var requests: [Request] { log.withLock(\.self) }

    private let listener: Int32
    private let handler: @Sendable (Request) -> Reply
    private let log = Mutex<[Request]>([])

    /// - Parameter handler: called on a thread of the connection.
    public init(_ handler: @escaping @Sendable (Request) -> Reply) throws {
        self.handler = handler
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &place) { [listener] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        port = Int(UInt16(bigEndian: place.sin_port))
        guard isListening else { throw POSIXError(.EADDRNOTAVAIL) }
        let thread = Thread { [weak self, listener] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0 else { return }
                guard let self else {
                    close(connection)
                    return
                }
                Thread { self.serve(connection) }.start()
            }
        }
        thread.start()
    }

    deinit {
        shutdown(listener, Int32(SHUT_RDWR))
        close(listener)
    }

    private func serve(_ connection: Int32) {
        defer { close(connection) }
        guard let request = Self.read(connection) else { return }
        log.withLock { $0.append(request) }
        let reply = handler(request)
        var headers = reply.headers
        if headers["Content-Length"] == nil { headers["Content-Length"] = "\(reply.body.count)" }
        let head =
            "HTTP/1.1 \(reply.status) Reply\r\n" + headers.map { "\($0): \($1)\r\n" }.joined()
            + "Connection: close\r\n\r\n"
        let sent = min(reply.breakAfter ?? .max, reply.stallAfter ?? .max, reply.body.count)
        guard Self.write(Array(head.utf8) + reply.body.prefix(sent), to: connection) else { return }
        guard reply.stallAfter != nil else { return }
        // Until the other side gives up.
        var byte: UInt8 = 0
        while recv(connection, &byte, 1, 0) > 0 {}
    }

    private static func read(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        while !bytes.suffix(4).elementsEqual([13, 10, 13, 10]) {
            guard recv(connection, &byte, 1, 0) == 1 else { return nil }
            bytes.append(byte)
        }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count == 3 else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        return Request(path: String(words[1]), headers: headers)
    }

    private static func write(_ bytes: [UInt8], to connection: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}

extension LoopbackServer.Request {
    /// The reply of a server that knows ranges and `If-Range`: the file, or the part that is asked for.
    public func reply(_ content: [UInt8], etag: String? = "\"one\"") -> LoopbackServer.Reply {
        var headers = ["Accept-Ranges": "bytes"]
        headers["ETag"] = etag
        let condition = self.headers["if-range"]
        if let etag, self.headers["if-none-match"] == etag { return .init(304, headers: headers) }
        guard let firstByte, condition == nil || condition == etag else {
            return .init(200, headers: headers, body: content)
        }
        guard firstByte < content.count else {
            headers["Content-Range"] = "bytes */\(content.count)"
            return .init(416, headers: headers)
        }
        let last = min(lastByte ?? .max, content.count - 1)
        headers["Content-Range"] = "bytes \(firstByte)-\(last)/\(content.count)"
        return .init(206, headers: headers, body: Array(content[firstByte...max(firstByte, last)]))
    }
}

extension LoopbackServer.Request {
    /// A value of the query, decoded; nil where it has none of that name.
    public func query(_ name: String) -> String? {
        let items = path.split(separator: "?", maxSplits: 1).dropFirst().first?.split(separator: "&") ?? []
        return items.first { $0.hasPrefix("\(name)=") }.flatMap { $0.dropFirst(name.count + 1).removingPercentEncoding }
    }

    /// The reply of S3 to `ListObjectsV2` of a bucket that holds these keys: those with the prefix, a thousand a page.
    public func listing(_ keys: [String], page: Int = 1000) -> LoopbackServer.Reply {
        let start = query("continuation-token").flatMap { Int($0.dropLast(2)) } ?? 0
        let found = keys.filter { $0.hasPrefix(query("prefix") ?? "") }
        let rest = found.dropFirst(start)
        func escaped(_ key: String) -> String {
            key.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
        }
        let contents = rest.prefix(page).map { "<Contents><Key>\(escaped($0))</Key><Size>1</Size></Contents>" }.joined()
        let isCut = rest.count > page
        let next = isCut ? "<NextContinuationToken>\(start + page)==</NextContinuationToken>" : ""
        let body = """
            <?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>\
            <IsTruncated>\(isCut)</IsTruncated>\(contents)\(next)</ListBucketResult>
            """
        return .init(200, headers: ["Content-Type": "application/xml"], body: Array(body.utf8))
    }
}

/// Counts up from 0, from any thread.
public final class Counter: Sendable {
    private let count = Mutex(0)

    /// Stands at 0.
    public init() {}

    /// The number before it is raised.
    public func next() -> Int {
        count.withLock { count in
            defer { count += 1 }
            return count
        }
    }
}

/// Bytes without a pattern that a shifted copy would match.
public func mixedBytes(_ count: Int, seed: UInt32 = 1) -> [UInt8] {
    var state = seed
    return (0..<count).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return UInt8(truncatingIfNeeded: state >> 24)
    }
}
