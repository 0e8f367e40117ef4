import Cascade
import Generation

/// The frozen networks around Stage C.
struct Encoders {
    let effnet: NetworkOnDemand<EffNetEncoder>
    let previewer: NetworkOnDemand<Previewer>
    let text: NetworkOnDemand<TextEncoder>
    /// Nil where the run names none: images' embeddings are zeros then.
    let images: NetworkOnDemand<ImageEncoder>?
}

extension ModelLoading {
    /// All of them, loaded: what is wrong with one is told before a run begins.
    func encoders() throws -> Encoders {
        try Encoders(
            effnet: NetworkOnDemand(effnet(), reload: effnet),
            previewer: NetworkOnDemand(previewer(), reload: previewer),
            text: NetworkOnDemand(textEncoder(), reload: textEncoder),
            images: files.image.map { source in
                try NetworkOnDemand(imageEncoder(at: source)) { try imageEncoder(at: source) }
            })
    }
}
