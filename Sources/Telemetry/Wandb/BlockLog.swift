import Files
import Glibc

/// A `.wandb` file: records in LevelDB's log format (`doc/log_format.md` there: blocks of 32 KiB, longer records in
/// parts), behind a header of W&B's and with checksums by zlib's CRC-32 (`wandb/sdk/internal/datastore.py`).
final class BlockLog {
    private static let header: [UInt8] = Array(":W&B".utf8) + [0xE1, 0xBE, 0]
    private static let blockSize = 32768
    private static let headSize = 7
    /// What kind of part it is: a whole record, or its first, one amidst, its last.
    private enum Part: UInt8 { case whole = 1, first, middle, last }

    private let file: AppendedFile

    /// Opens a file to append, or makes it.
    /// - Parameter keep: Is shown each whole record of what is there; the file is cut before the first it refuses.
    init(_ path: String, keep: ([UInt8]) -> Bool) throws {
        let kept = fileExists(path) ? try Self.scan(path, keep) : 0
        file = try AppendedFile(path, keeping: kept)
        if kept == 0 { try file.append(Self.header) }
    }

    func append(_ record: [UInt8]) throws {
        var parts: [UInt8] = []
        var rest = record[...]
        var isFirst = true
        repeat {
            var space = Self.blockSize - (file.length + parts.count) % Self.blockSize
            if space < Self.headSize {
                parts += repeatElement(0, count: space)
                space = Self.blockSize
            }
            let content = rest.prefix(space - Self.headSize)
            rest = rest.dropFirst(content.count)
            let part: Part = isFirst ? (rest.isEmpty ? .whole : .first) : (rest.isEmpty ? .last : .middle)
            parts += littleEndian(Checksum.ieee([part.rawValue] + content))
            parts += littleEndian(UInt16(content.count))
            parts.append(part.rawValue)
            parts += content
            isFirst = false
        } while !rest.isEmpty
        try file.append(parts)
    }

    func sync() throws { try file.sync() }

    /// Reads whole records until one is refused, or torn, or the file ends.
    /// - Returns: how many bytes hold what was kept; 0 where this is no such file.
    private static func scan(_ path: String, _ keep: ([UInt8]) -> Bool) throws -> Int {
        let file = try OpenedFile(path)
        var block = try file.read(at: 0, count: blockSize)
        var start = 0
        guard block.starts(with: header) else { return 0 }
        var (position, end) = (header.count, header.count)
        var record: [UInt8] = []
        while true {
            if start + blockSize - position < headSize { position = start + blockSize }
            if position == start + blockSize {
                start = position
                block = try file.read(at: start, count: blockSize)
            }
            let rest = block.dropFirst(position - start)
            let head = rest.prefix(headSize)
            guard head.count == headSize, let part = head.last.flatMap(Part.init) else { return end }
            let content = rest.dropFirst(headSize).prefix(Int(head.dropFirst(4).prefix(2).number))
            guard content.count == Int(head.dropFirst(4).prefix(2).number),
                head.prefix(4).number == UInt64(Checksum.ieee([part.rawValue] + content))
            else { return end }
            position += headSize + content.count
            if part == .whole || part == .first { record = [] }
            record += content
            if part == .whole || part == .last {
                guard keep(record) else { return end }
                end = position
            }
        }
    }
}
