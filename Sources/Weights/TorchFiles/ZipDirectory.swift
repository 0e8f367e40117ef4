import Failures

/// The members of a zip archive that are stored as they are, and where their bytes lie in it.
///
/// Source of the format: PKWARE, APPNOTE.TXT 6.3. Torch stores every member without compression, so that tensors can
/// be viewed in the mapped file; sizes and places come from the central directory and are checked against the file.
struct ZipDirectory {
    /// By name, in bytes from the start of the archive.
    private(set) var members: [String: Range<Int>] = [:]
    /// The folder that holds all members: torch names it after the file.
    private(set) var root = ""

    private static let (endRecord, endLocator64, endRecord64): (UInt32, UInt32, UInt32) =
        (0x0605_4b50, 0x0706_4b50, 0x0606_4b50)
    private static let (centralHeader, localHeader): (UInt32, UInt32) = (0x0201_4b50, 0x0403_4b50)
    private static let absent = Int(UInt32.max)

    /// - Throws: a failure of the input where the archive is damaged, or a member compressed or encrypted.
    init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
        func broken(_ what: String) -> Failure {
            .input("not a readable zip archive: \(what)", at: Failure.Place(path))
        }
        guard let directory = Self.directory(bytes) else { throw broken("its end is damaged") }
        var cursor = ByteCursor(UnsafeRawBufferPointer(rebasing: bytes[directory]), at: 0)
        var unreadable: Failure?
        while cursor.remaining > 0 {
            guard let entry = Entry(&cursor), let name = entry.name else {
                throw broken("its directory is damaged")
            }
            if name.hasSuffix("/data.pkl"), root.isEmpty { root = String(name.dropLast("data.pkl".count)) }
            guard entry.flags & 1 == 0, entry.method == 0, entry.size == entry.compressedSize else {
                let what = entry.flags & 1 == 0 ? "compressed, which torch never does" : "encrypted"
                unreadable = unreadable ?? broken("`\(name)` is \(what)")
                continue
            }
            guard let range = Self.content(of: entry, in: bytes) else {
                throw broken("`\(name)` does not lie where the directory says")
            }
            guard members.updateValue(range, forKey: name) == nil else { throw broken("`\(name)` is there twice") }
        }
        // Whoever wrote an archive of other things may compress them.
        if let unreadable, !root.isEmpty { throw unreadable }
    }

    /// What the central directory says of a member.
    private struct Entry {
        let flags: UInt16
        let method: UInt16
        let rawName: UnsafeRawBufferPointer
        var compressedSize: Int
        var size: Int
        var offset: Int

        /// nil where it is no UTF-8.
        var name: String? { String(validating: rawName, as: UTF8.self) }

        init?(_ cursor: inout ByteCursor) {
            guard cursor.number(UInt32.self) == ZipDirectory.centralHeader, cursor.run(4) != nil,
                let flags = cursor.number(UInt16.self), let method = cursor.number(UInt16.self),
                cursor.run(8) != nil,
                let compressed = cursor.number(UInt32.self), let size = cursor.number(UInt32.self),
                let nameLength = cursor.number(UInt16.self), let extraLength = cursor.number(UInt16.self),
                let commentLength = cursor.number(UInt16.self), cursor.run(8) != nil,
                let offset = cursor.number(UInt32.self), let name = cursor.run(Int(nameLength)),
                let extra = cursor.run(Int(extraLength)), cursor.run(Int(commentLength)) != nil
            else { return nil }
            self.flags = flags
            self.method = method
            rawName = name
            (compressedSize, self.size, self.offset) = (Int(compressed), Int(size), Int(offset))
            guard readLarge(extra) else { return nil }
        }

        /// Takes what does not fit 32 bits from the zip64 field, in which only such numbers stand.
        private mutating func readLarge(_ extra: UnsafeRawBufferPointer) -> Bool {
            guard [size, compressedSize, offset].contains(ZipDirectory.absent) else { return true }
            var fields = ByteCursor(extra)
            while let kind = fields.number(UInt16.self), let length = fields.number(UInt16.self),
                let field = fields.run(Int(length))
            {
                guard kind == 1 else { continue }
                var large = ByteCursor(field)
                func read(_ value: inout Int) -> Bool {
                    guard value == ZipDirectory.absent else { return true }
                    guard let number = large.number(UInt64.self).flatMap(Int.init(exactly:)) else { return false }
                    value = number
                    return true
                }
                return read(&size) && read(&compressedSize) && read(&offset)
            }
            return false
        }
    }

    /// Where the central directory lies, by the record at the end of the archive.
    private static func directory(_ bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        // The record is 22 bytes and a comment of at most 65,535.
        let last = bytes.count - 22
        guard last >= 0 else { return nil }
        for start in stride(from: last, through: max(0, last - 65_535), by: -1) {
            var cursor = ByteCursor(bytes, at: start)
            guard cursor.number(UInt32.self) == endRecord, cursor.run(8) != nil,
                let length = cursor.number(UInt32.self), let offset = cursor.number(UInt32.self)
            else { continue }
            if Int(length) == absent || Int(offset) == absent { return directory64(bytes, before: start) }
            return range(Int(offset), Int(length), in: bytes)
        }
        return nil
    }

    private static func directory64(_ bytes: UnsafeRawBufferPointer, before end: Int) -> Range<Int>? {
        guard end >= 20 else { return nil }
        var locator = ByteCursor(bytes, at: end - 20)
        guard locator.number(UInt32.self) == endLocator64, locator.run(4) != nil,
            let start = locator.number(UInt64.self).flatMap(Int.init(exactly:)), start <= bytes.count
        else { return nil }
        var record = ByteCursor(bytes, at: start)
        guard record.number(UInt32.self) == endRecord64, record.run(36) != nil,
            let length = record.number(UInt64.self).flatMap(Int.init(exactly:)),
            let offset = record.number(UInt64.self).flatMap(Int.init(exactly:))
        else { return nil }
        return range(offset, length, in: bytes)
    }

    /// The bytes of a member, behind its local header, whose name and extra field have lengths of their own.
    private static func content(of entry: Entry, in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        guard entry.offset <= bytes.count else { return nil }
        var local = ByteCursor(bytes, at: entry.offset)
        guard local.number(UInt32.self) == localHeader, local.run(22) != nil,
            let nameLength = local.number(UInt16.self), let extraLength = local.number(UInt16.self),
            let name = local.run(Int(nameLength)), name.elementsEqual(entry.rawName),
            local.run(Int(extraLength)) != nil
        else { return nil }
        return range(local.position, entry.size, in: bytes)
    }

    private static func range(_ start: Int, _ length: Int, in bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        let (end, overflow) = start.addingReportingOverflow(length)
        guard start >= 0, length >= 0, !overflow, end <= bytes.count else { return nil }
        return start..<end
    }
}
