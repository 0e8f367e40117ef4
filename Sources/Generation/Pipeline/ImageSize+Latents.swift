import Cascade
import Images

extension ImageSize {
    /// The sides of Stage C's latents: `ceil(side / 42.67)` for the published ones, in whole patches, as the reference's
    /// `calculate_latent_sizes` has them.
    public func latents(of stageC: StageCConfiguration) -> (height: Int, width: Int) {
        latents(per: stageC.compression, patch: stageC.patchSize)
    }

    /// The sides of Stage B's: `ceil(side / 4)`, likewise.
    public func stageBLatents(patch: Int) -> (height: Int, width: Int) { latents(per: 4, patch: patch) }

    /// The sides of latents, a side being divided and rounded up, and again up to whole patches.
    private func latents(per pixels: Double, patch: Int) -> (height: Int, width: Int) {
        func side(_ length: Int) -> Int {
            let latents = Int((Double(length) / pixels).rounded(.up))
            return (latents + patch - 1) / patch * patch
        }
        return (side(height), side(width))
    }
}
