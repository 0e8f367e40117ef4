import Cascade
import Glibc
import Torch

/// How well latents keep images, measured on networks as they are used.
struct Reconstruction {
    let encoder: EffNetEncoder
    let previewer: Previewer

    /// The mean over images of the peak signal-to-noise ratio, in decibels, of what the previewer makes of their latents.
    func meanPSNR(of images: ImageSet) throws -> Double {
        var sum = 0.0
        for start in stride(from: 0, to: images.count, by: 32) {
            let wanted = try images.images(start..<min(start + 32, images.count))
            let errors = try withoutGradients {
                let made = try previewer(encoder.encode(EffNetEncoder.normalised(wanted))).clamped(min: 0, max: 1)
                return try (made - wanted).squared().mean([1, 2, 3]).values(as: Double.self)
            }
            sum += errors.reduce(0) { $0 - 10 * log10(max($1, 1e-10)) }
        }
        return sum / Double(images.count)
    }
}
