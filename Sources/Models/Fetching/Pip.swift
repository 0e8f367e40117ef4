import Failures
import Shards

/// The pip of the user's `python3`. It knows the registry, or whatever stands in for it on this machine.
struct Pip {
    /// What is got, for failures.
    let title: String
    /// What else can be done where it fails: the end of a sentence.
    let otherwise: String
    let isCancelled: @Sendable () -> Bool
    let report: @Sendable (FetchEvent) -> Void

    /// Runs pip. What it says is seen on the status line, and its last words in the failure.
    /// - Parameter environment: variables that it is given, as `NAME=VALUE`.
    func callAsFunction(_ arguments: [String], environment: [String] = []) throws {
        var words = ["python3", "-m", "pip", "--disable-pip-version-check", "--no-input", "--no-color"] + arguments
        if !environment.isEmpty { words = ["env"] + environment + words }
        var said = LastLines()
        defer { report(.status("")) }
        do {
            let output = try CommandBytes(
                "exec \"$@\" 2>&1", parameters: words, name: "pip", isCancelled: isCancelled)
            let piece = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 12, alignment: 16)
            defer { piece.deallocate() }
            while case let count = try output.read(into: piece), count > 0 {
                said.hear(piece[..<count])
                report(.status(said.line))
            }
        } catch let failure as Failure {
            throw Failure.run(
                "pip can't get \(title)", got: said.complaint.isEmpty ? failure.what : said.complaint,
                advice: "check that python3 has pip and reaches its registry, or \(otherwise)")
        }
    }
}

/// What a program said last.
private struct LastLines {
    private var lines: [String] = []
    private var unfinished: [UInt8] = []
    /// A complaint's line is not told at any length.
    private static let longest = 300

    /// The line said last.
    var line: String { lines.last ?? "" }

    /// The last line that calls itself an error, else the last.
    var complaint: String {
        var lines = lines
        lines += [Self.text(unfinished)].filter { !$0.isEmpty }
        let complaint = lines.last { $0.hasPrefix("ERROR:") } ?? lines.last ?? ""
        return complaint.hasPrefix("ERROR: ") ? String(complaint.dropFirst("ERROR: ".count)) : complaint
    }

    mutating func hear(_ bytes: Slice<UnsafeMutableRawBufferPointer>) {
        for byte in bytes {
            if byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "\r") {
                if unfinished.count < Self.longest { unfinished.append(byte) }
                continue
            }
            let text = Self.text(unfinished)
            if !text.isEmpty { lines.append(text) }
            lines = lines.suffix(100)
            unfinished = []
        }
    }

    /// A line without control characters, and without spaces around it.
    private static func text(_ bytes: [UInt8]) -> String {
        let printed = bytes.map { $0 < 0x20 ? 0x20 : $0 }
        let start = printed.prefix { $0 == 0x20 }.count
        let end = printed.reversed().prefix { $0 == 0x20 }.count
        return String(decoding: printed.dropFirst(start).dropLast(end), as: UTF8.self)
    }
}
