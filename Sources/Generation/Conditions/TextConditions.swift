import Cascade
import Files
import Torch
import Weights

/// The text conditions of captions, from the tower or from a cache of what it made before.
public struct TextConditions {
    private enum Source {
        case kept(TextEncoder)
        /// A tower that nothing changes, with its tokenizer.
        case onDemand(NetworkOnDemand<TextEncoder>, CLIPTokenizer)
    }

    private let source: Source
    private let device: Device
    /// Not used while an adapter changes what the tower makes.
    public let cache: EncodingCache?

    /// With a text encoder that stays in memory; the cache is passed over while an adapter changes the encoder.
    public init(encoder: TextEncoder, cache: EncodingCache? = nil) {
        source = .kept(encoder)
        device = encoder.tower.tokenTable.weight.device
        self.cache = cache
    }

    /// With a tower that no adapter changes, which is asked for what the cache does not have.
    public init(_ encoder: NetworkOnDemand<TextEncoder>, cache: EncodingCache) throws {
        let loaded = try encoder()
        source = .onDemand(encoder, loaded.tokenizer)
        device = loaded.tower.tokenTable.weight.device
        self.cache = cache
    }

    /// With the tokens that adapters have added.
    public var tokenizer: CLIPTokenizer {
        switch source {
        case .kept(let encoder): encoder.tokenizer
        case .onDemand(_, let tokenizer): tokenizer
        }
    }

    private var isAsLoaded: Bool {
        if case .kept(let encoder) = source { encoder.isAsLoaded } else { true }
    }

    private func encode(_ captions: [String]) throws -> TextEncoder.Encoded {
        switch source {
        case .kept(let encoder): try encoder(captions)
        case .onDemand(let encoder, _): try encoder()(captions)
        }
    }

    /// Tokens [B, 77, c] and pooled [B, 1, c] of captions, from the cache where it has them.
    public func callAsFunction(_ captions: [String]) throws -> TextEncoder.Encoded {
        guard let cache, isAsLoaded else { return try encode(captions) }
        // Each caption by itself, so that an entry does not depend on which others it was first met with.
        let rows = try captions.map { caption in
            let key = key(caption, cache.salt)
            if let found = try cache.folder.read(key).flatMap(Self.encoded) { return found }
            let made = try withoutGradients { try encode([caption]) }
            cache.keep(key, try SafetensorsWriter.bytes([("tokens", made.tokens), ("pooled", made.pooled)]))
            return made
        }
        return TextEncoder.Encoded(
            tokens: try .concatenated(rows.map { try $0.tokens.to(device: device) }, dimension: 0),
            pooled: try .concatenated(rows.map { try $0.pooled.to(device: device) }, dimension: 0))
    }

    /// By the tokens and not by the text: the vocabulary's files need no digest then.
    private func key(_ caption: String, _ salt: String) -> String {
        let (ids, mask) = tokenizer.encodePadded(caption)
        var digest = SHA256()
        Array(salt.utf8).withUnsafeBytes { digest.update($0) }
        (ids + mask).withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    private static func encoded(_ bytes: [UInt8]) throws -> TextEncoder.Encoded? {
        guard let file = try? SafetensorsFile(bytes: bytes, path: "cached text"),
            let tokens = try file.tensor("tokens"),
            let pooled = try file.tensor("pooled"), tokens.shape.count == 3, pooled.shape.count == 3
        else { return nil }
        return TextEncoder.Encoded(tokens: tokens, pooled: pooled)
    }
}
