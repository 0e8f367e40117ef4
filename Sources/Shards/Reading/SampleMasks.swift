import Failures
import Files

/// Where the mask of each image is found.
public struct SampleMasks: Sendable {
    private enum Place: Sendable {
        /// A member of the sample, by its ending.
        case member(String)
        /// Files of a folder, by the key that a folder of images would give them.
        case folder(paths: [String: String])
    }

    private let place: Place
    /// As it was named.
    public let name: String
    /// The reason for which a sample is left out that has no mask.
    public static let absence = "no mask"

    /// - Parameter name: a folder, or the ending of a member such as `mask.png`.
    /// - Throws: a failure of the input where it is neither, or nothing lies in the folder that could be a mask.
    public init(_ name: String) throws {
        self.name = name
        if Folder.isFolder(name) {
            let images = try ImageFolder(name)
            let keyed = keyed(images.pairs + images.unpaired)
            if keyed.isEmpty {
                throw Failure.input(
                    "no mask lies in the folder", at: .init(name), expected: "images with the names of the samples")
            }
            place = .folder(paths: Dictionary(keyed.map { ($0.key, $0.pair.image.path) }) { first, _ in first })
            return
        }
        let ending = name.lowercased()
        guard !name.contains("/"), Sample.imageEndings.contains(where: { ending == $0 || ending.hasSuffix(".\($0)") })
        else {
            throw Failure.input(
                "no masks are found there", expected: "a folder of images, or the ending of a member such as mask.png",
                got: name)
        }
        place = .member(ending)
    }

    /// Whether a sample has a mask, as far as that can be told without reading it.
    func holds(_ sample: Sample) -> Bool {
        switch place {
        case .member(let ending): sample.members[ending] != nil
        case .folder(let paths): Self.path(of: sample, paths) != nil
        }
    }

    /// The encoded mask of a sample; nil where it has none.
    /// - Throws: a failure where its file can't be read.
    public func bytes(of sample: Sample) throws -> [UInt8]? {
        switch place {
        case .member(let ending): sample.members[ending]
        case .folder(let paths):
            try Self.path(of: sample, paths).map { try readFile($0, limit: ShardReader.sampleLimit) }
        }
    }

    /// The file of a sample: under its whole key, or under the last part of it.
    private static func path(of sample: Sample, _ paths: [String: String]) -> String? {
        paths[sample.key] ?? paths[lastComponent(of: sample.key)]
    }
}
