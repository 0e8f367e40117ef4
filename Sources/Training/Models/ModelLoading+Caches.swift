import Files
import Weights

/// What `cache_dir` keeps: `pictures` and `texts`, each by a key that holds the weights of the networks it comes of.
extension ModelLoading {
    /// Encodings of pictures; nil where the run names no folder.
    func pictureCache(warn: @escaping @Sendable (String) -> Void) throws -> EncodingCache? {
        guard let folder = run.data.cacheFolder else { return nil }
        var files = try Tensors.files(at: run.stage == .b ? run.decoderPath : run.effnetPath)
        if let name = run.clipImageModel { files += try towerFiles(ModelFolder.find(name, at: run.places.image)) }
        return try EncodingCache("\(folder)/pictures", salt: salt("pictures", files), warn: warn)
    }

    /// Text conditions of captions; nil where the run names no folder.
    func textCache(warn: @escaping @Sendable (String) -> Void) throws -> EncodingCache? {
        guard let folder = run.data.cacheFolder else { return nil }
        let files = try towerFiles(ModelFolder.find(run.clipTextModel, at: run.places.text))
        return try EncodingCache("\(folder)/texts", salt: salt("texts", files), warn: warn)
    }

    /// The files that decide what a tower makes, its vocabulary aside.
    private func towerFiles(_ folder: String) throws -> [String] {
        try ["\(folder)/config.json"] + Tensors.files(at: folder)
    }

    private func salt(_ kind: String, _ files: [String]) throws -> String {
        "\(kind) of \(files.count) files \(try SHA256.hex(ofFiles: files)) in \(run.dtype ?? .float32)"
    }
}
