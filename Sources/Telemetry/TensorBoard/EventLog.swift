import Files
import Glibc

/// The event files that TensorBoard reads (`tensorboard/compat/proto/event.proto` and `summary.proto`).
///
/// Each start of a run writes a file of its own. A run that goes on cuts the earlier files behind the last update that
/// stays, for readers that take files as they are, and begins its own with the START of a session, at which a
/// TensorBoard that shows the run already drops what it read of later steps.
final class EventLog {
    private let file: AppendedFile
    private let now: () -> Double

    /// - Parameters:
    ///   - step: The last update whose events stay; 0 for a run from the start.
    ///   - now: Seconds since 1970.
    init(folder: String, resumeAfter step: Int, now: @escaping () -> Double) throws {
        self.now = now
        try Folder.make(folder)
        let earlier = try Folder.names(folder).filter { $0.hasPrefix(Self.prefix) }
        for name in earlier { try Self.cut("\(folder)/\(name)", after: step) }
        // Readers take the files in the order of their names, whatever became of the clock.
        let last = earlier.compactMap { Int($0.dropFirst(Self.prefix.count).prefix { $0 != "." }) }.max()
        let number = max(Int(now()), last.map { $0 + 1 } ?? 0)
        let digits = zeroPadded(number, digits: 10)
        file = try AppendedFile("\(folder)/\(Self.prefix)\(digits).\(hostName()).\(getpid()).0")
        try append(step: 0) { $0.add(3, text: "brain.Event:2") }
        try append(step: step + 1) { $0.add(7) { $0.add(1, integer: 1) } }  // SessionLog, START
    }

    private static let prefix = "events.out.tfevents."

    func append(_ entry: LogEntry) throws {
        try append(step: entry.step) { event in
            event.add(5) { summary in
                for (name, value) in entry.scalars {
                    summary.add(1) {
                        $0.add(1, text: name)
                        $0.add(2, float: Float(value))
                    }
                }
                for image in entry.images {
                    summary.add(1) {
                        $0.add(1, text: image.name)
                        $0.add(4) { message in
                            message.add(1, integer: image.height)
                            message.add(2, integer: image.width)
                            message.add(3, integer: 3)  // RGB
                            message.add(4, bytes: image.jpeg)
                        }
                    }
                }
            }
        }
    }

    func sync() throws { try file.sync() }

    private func append(step: Int, _ build: (inout ProtobufMessage) -> Void) throws {
        var event = ProtobufMessage()
        event.add(1, double: now())
        event.add(2, integer: step)
        build(&event)
        try file.append(Self.framed(event.bytes))
    }

    // MARK: Records

    /// A record of TensorFlow's files: length, its checksum, content, its checksum.
    private static func framed(_ content: [UInt8]) -> [UInt8] {
        let length = littleEndian(UInt64(content.count))
        return length + littleEndian(masked(length)) + content + littleEndian(masked(content))
    }

    /// CRC-32C, turned and shifted so that a checksum of data with checksums in it stays one.
    private static func masked(_ bytes: some Sequence<UInt8>) -> UInt32 {
        let sum = Checksum.castagnoli(bytes)
        return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
    }

    /// Cuts a file before its first event past `step`, or that is torn; one of which nothing stays is removed.
    private static func cut(_ path: String, after step: Int) throws {
        let file = try OpenedFile(path)
        var position = 0
        var holdsEvents = false
        while true {
            // Of an event's content the beginning is enough: its step stands there, and images are large.
            let head = try file.read(at: position, count: 12 + 64)
            guard head.count > 12, head[8..<12].number == UInt64(masked(head[..<8])) else { break }
            guard let length = Int(exactly: head[..<8].number), length < Int.max - position - 16 else { break }
            // Only a file that holds the last byte holds the record.
            guard try file.read(at: position + length + 15, count: 1).count == 1 else { break }
            let event = head.dropFirst(12).prefix(length)
            if ProtobufFields.first(5, of: event) != nil {
                guard step > 0, case .number(let at)? = ProtobufFields.first(2, of: event), at <= step else { break }
                holdsEvents = true
            }
            position += length + 16
        }
        let isDone = holdsEvents ? truncate(path, position) == 0 : unlink(path) == 0
        guard isDone else { throw SystemError.current.failure("can't cut the file", path: path) }
    }
}

/// The machine's name, as it can stand in a file's.
func hostName() -> String {
    var name = [CChar](repeating: 0, count: 256)
    guard gethostname(&name, name.count - 1) == 0 else { return "localhost" }
    let text = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    return String(text.map { $0 == "/" ? "-" : $0 })
}
