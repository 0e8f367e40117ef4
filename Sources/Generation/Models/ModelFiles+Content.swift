import Files
import Weights

extension ModelFiles {
    /// What tells the content of a network's files from others under the same name.
    public struct Content: Sendable {
        /// The key or option that names the network.
        public let key: String
        /// The file, folder or hub name under that key.
        public let name: String
        /// Of the file and its bytes, as `contentSample` has them; of several files a digest over all.
        public let sample: String
    }

    /// The content of all networks that are named, without reading all of it.
    public func contents() throws -> [Content] {
        let networks = [stageC?.weights, stageB?.weights, stageA, effnet, previewer].compactMap(\.self)
        return try networks.map { try Self.content($0, Tensors.files(at: $0.name)) }
            + [text, image].compactMap(\.self).map { tower in
                let folder = try tower.folder()
                let vocabulary = ["tokenizer.json", "vocab.json", "merges.txt"].map { "\(folder)/\($0)" }
                return try Self.content(
                    tower, ["\(folder)/config.json"] + Tensors.files(at: folder) + vocabulary.filter(fileExists))
            }
    }

    private static func content(_ source: Source, _ files: [String]) throws -> Content {
        let samples = try files.map { try contentSample($0) }
        let sample =
            samples.count == 1
            ? samples[0] : String(SHA256.hex(of: Array(samples.joined(separator: " ").utf8)).prefix(16))
        return Content(key: source.key, name: source.name, sample: sample)
    }
}
