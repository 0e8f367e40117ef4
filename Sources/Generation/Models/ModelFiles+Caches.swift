import Files
import Weights

/// What a folder of caches keeps: `images` and `texts`, each by a key that holds the weights of the networks it comes
/// of.
extension ModelFiles {
    /// The folder of encoded images within a cache folder. Caches on disk have this name.
    public static let imageCacheName = "pictures"

    /// Encodings of images, by the network that makes their latents and by the image encoder where there is one.
    public func imageCache(
        in folder: String, encoder: Source?, warn: @escaping @Sendable (String) -> Void
    ) throws -> EncodingCache {
        var files = try encoder.map { try Tensors.files(at: $0.name) } ?? []
        if let image { files += try Self.towerFiles(image) }
        // Entries of before were all averaged.
        let way = image == nil || isImageAntialiased ? "pictures" : "pictures without antialias"
        return try EncodingCache("\(folder)/\(Self.imageCacheName)", salt: salt(way, files), warn: warn)
    }

    /// Text conditions of captions.
    public func textCache(in folder: String, warn: @escaping @Sendable (String) -> Void) throws -> EncodingCache {
        let files = try text.map(Self.towerFiles) ?? []
        // Without the matrices' form, as before there was any.
        let form = baseDType.map { " with matrices in \($0.rawValue)" } ?? ""
        return try EncodingCache("\(folder)/texts", salt: salt("texts", files) + form, warn: warn)
    }

    /// The files that decide what a tower makes, its vocabulary aside.
    private static func towerFiles(_ tower: Source) throws -> [String] {
        let folder = try tower.folder()
        return try ["\(folder)/config.json"] + Tensors.files(at: folder)
    }

    private func salt(_ kind: String, _ files: [String]) throws -> String {
        "\(kind) of \(files.count) files \(try SHA256.hex(ofFiles: files)) in \(dtype)"
    }
}
