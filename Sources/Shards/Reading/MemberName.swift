import Glibc

/// A tar member's name split as webdataset splits it.
struct MemberName: Equatable {
    /// The path up to the first dot of the file name.
    let key: String
    /// What follows that dot, in lower case.
    let ending: String

    /// Nil for what belongs to no sample: no dot, a hidden file, webdataset's `__meta__` entries.
    init?(_ name: String) {
        let fileStart = name.lastIndex(of: "/").map(name.index(after:)) ?? name.startIndex
        guard let dot = name[fileStart...].firstIndex(of: "."), dot > fileStart else { return nil }
        if MemberName.isMetadata(name) { return nil }
        key = String(name[..<dot])
        ending = name[name.index(after: dot)...].lowercased()
    }

    /// Whether the first part of the path, or a whole name without folder, has two underscores on either side.
    private static func isMetadata(_ name: String) -> Bool {
        let first = name.prefix { $0 != "/" }
        return first.utf8.count >= 4 && first.hasPrefix("__") && first.hasSuffix("__")
    }

    /// Whether two keys are the same bytes; `==` on strings would take different spellings of an accent for equal.
    static func isSame(_ one: String, _ other: String) -> Bool { one.utf8.elementsEqual(other.utf8) }
}

extension String {
    /// A name of no certain encoding: UTF-8 where it is valid, else each byte one Latin-1 character.
    init(memberName bytes: UnsafePointer<CChar>) {
        let characters = UnsafeBufferPointer(start: bytes, count: strlen(bytes)).map(UInt8.init(bitPattern:))
        self =
            String(validating: characters, as: UTF8.self)
            ?? String(String.UnicodeScalarView(characters.map { Unicode.Scalar($0) }))
    }
}
