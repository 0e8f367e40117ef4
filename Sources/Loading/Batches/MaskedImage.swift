import Images
import Synchronization

/// An image as its bucket has it, with its mask where one is wanted.
public struct MaskedImage: Sendable {
    /// Resized and cut into its bucket.
    public let image: Image
    /// Cut as the image, of its size; nil where none is wanted.
    public let mask: Mask?

    /// - Parameters:
    ///   - image: as its bucket has it.
    ///   - mask: of the image's size; nil where none is wanted.
    public init(_ image: Image, mask: Mask? = nil) {
        self.image = image
        self.mask = mask
    }

    /// Bytes of both.
    var size: Int { image.pixels.count + (mask?.values.count ?? 0) }
}

/// Reads masks, in several threads at once, and tells of the first that covers all of its image or nothing.
public final class MaskReading: Sendable {
    private let note: @Sendable (String) -> Void
    private let hasNoted = Atomic<Bool>(false)

    /// The reason for which a sample is left out whose mask is broken.
    static let undecodable = "mask can't be decoded"

    /// What is thrown for that reason.
    struct Refusal: Error {}

    /// - Parameter note: told of a mask that tells no part of its image from another; of all of them only the first is
    ///   told.
    public init(note: @escaping @Sendable (String) -> Void) { self.note = note }

    /// The mask of a sample as its file has it.
    /// - Parameter name: the sample's, for messages.
    /// - Throws: a `Refusal` where there is none that can be read.
    func callAsFunction(_ bytes: [UInt8]?, of name: String) throws -> Mask {
        guard let bytes, let mask = try? Mask(decoding: bytes, name: name) else { throw Refusal() }
        if let complaint = mask.complaint, !hasNoted.exchange(true, ordering: .relaxed) {
            note("\(name): \(complaint)")
        }
        return mask
    }
}
