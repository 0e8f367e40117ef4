import Cascade
import Generation

/// The frozen networks around Stage C that a run holds all the time.
struct Encoders {
    let effnet: EffNetEncoder
    let previewer: Previewer
    let text: TextEncoder
    /// Nil where the run names none: images' embeddings are zeros then.
    let images: PictureEncoder?
}

extension ModelLoading {
    func encoders() throws -> Encoders {
        try Encoders(effnet: effnet(), previewer: previewer(), text: textEncoder(), images: imageEncoder())
    }
}
