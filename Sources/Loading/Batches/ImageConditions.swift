import Failures
import Images
import Shards

/// What is made of a sample's image beside it, in the worker that fitted the image: a ControlNet's condition.
public struct ImageCondition: Sendable {
    /// In the form of whoever makes it.
    public let bytes: [UInt8]
    /// Whether chance had a part in it. Such a condition is made anew each time, every other may be kept.
    public let isDrawn: Bool

    /// - Parameters:
    ///   - bytes: in the form of whoever makes it.
    ///   - isDrawn: whether it is made anew each time.
    public init(bytes: [UInt8], isDrawn: Bool) {
        self.bytes = bytes
        self.isDrawn = isDrawn
    }
}

/// How conditions are made of images, and where those made earlier are found. Several threads make them at once.
public struct ImageConditions: Sendable {
    /// An image as a batch has it, with its mask where one is wanted, to its condition; the seed decides what is left to
    /// chance. A failure of the input leaves the sample out, any other ends the loading.
    public typealias Make = @Sendable (_ image: MaskedImage, _ seed: UInt64) throws -> ImageCondition

    let make: Make
    /// Where conditions outlive the loader.
    let store: PreparedStore?

    /// - Parameters:
    ///   - store: where conditions outlive the loader; nil keeps none.
    ///   - make: an image and a seed to its condition, called by several threads at once.
    public init(store: PreparedStore? = nil, make: @escaping Make) {
        self.store = store
        self.make = make
    }

    /// The reason for which a sample is left out whose image has no condition.
    static let refused = "filter refused the image"

    /// What is thrown for that reason.
    struct Refusal: Error {}

    /// Of what a condition is made.
    struct Subject {
        /// As ``LoadedSample/place``, for messages.
        let name: String
        /// Where the sample lies.
        let place: SamplePlace
        let fit: AspectBuckets.Fit
        let seed: UInt64
        /// The key for a salt, as ``PreparedStore`` has it.
        let key: (_ salt: String) -> String
        /// The image, decoded where it is not yet.
        let image: () throws -> MaskedImage
    }

    /// The condition of a sample's image, kept or made.
    /// - Throws: a `Refusal`; whatever the image can't be decoded for; failures of the run.
    func callAsFunction(of subject: Subject, memory: FittedCache<[UInt8]>?) throws -> [UInt8] {
        if let known = memory?.value(subject.place, fitted: subject.fit) { return known }
        let key = store.map { subject.key($0.salt) }
        if let key, let known = store?.lookup(key) {
            memory?.keep(known, bytes: known.count, fitted: subject.fit, of: subject.place)
            return known
        }
        let made = try made(of: subject.image(), subject)
        guard !made.isDrawn else { return made.bytes }
        memory?.keep(made.bytes, bytes: made.bytes.count, fitted: subject.fit, of: subject.place)
        if let key { store?.keep(key, made.bytes) }
        return made.bytes
    }

    private func made(of image: MaskedImage, _ subject: Subject) throws -> ImageCondition {
        do {
            return try make(image, subject.seed)
        } catch var failure as Failure {
            guard failure.blame != .input else { throw Refusal() }
            failure.place = failure.place ?? .init(subject.name)
            throw failure
        }
    }
}
