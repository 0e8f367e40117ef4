import Cascade

/// The feature maps of a stage: what one of each level's width takes, the unit that passes are counted in.
struct StageMaps {
    private let stage: any StageConfiguration
    private let batch: Int
    /// Of the outermost level's map, in tokens.
    private let sides: (height: Int, width: Int)
    private let numberSize: Int

    /// - Parameters:
    ///   - batch: images that are passed at a time.
    ///   - sides: an image's, in pixels.
    ///   - reduction: pixels of a side for each of the latents'.
    ///   - numberSize: bytes of a number that is computed in.
    init(
        _ stage: any StageConfiguration, batch: Int, sides: (height: Int, width: Int), reduction: Int, numberSize: Int
    ) {
        (self.stage, self.batch, self.numberSize) = (stage, batch, numberSize)
        func tokens(_ pixels: Int) -> Int { max(1, (pixels + reduction - 1) / reduction / stage.patchSize) }
        self.sides = (tokens(sides.height), tokens(sides.width))
    }

    /// Places of a level's map.
    func tokens(_ level: Int) -> Int {
        let halvings = stage.switchLevel.map { $0.prefix(level).filter(\.self).count } ?? level
        return max(1, sides.height >> halvings) * max(1, sides.width >> halvings)
    }

    /// A map of a level's width for the whole batch, in bytes.
    func bytes(_ level: Int) -> Int { batch * tokens(level) * stage.hidden[level] * numberSize }
}
