/// A string compared and hashed by its UTF-8 bytes, and not by Swift's canonical equivalence.
public struct ExactText: Hashable, Sendable {
    /// The string as it was given, in its own spelling.
    public let text: String

    /// Takes any string; nothing of it is normalised.
    public init(_ text: String) { self.text = text }

    /// Whether both have the same bytes in UTF-8.
    public static func == (left: Self, right: Self) -> Bool {
        left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
    }

    /// Hashes the bytes in UTF-8, so that equal texts have equal hashes.
    public func hash(into hasher: inout Hasher) {
        let hashed: Void? = text.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        if hashed == nil { for byte in text.utf8 { hasher.combine(byte) } }
    }
}
