import Layers
import Torch

/// The dropout of one pass through a stage.
public struct DropoutPass: Sendable {
    /// Share of zeros by level, the outermost first.
    let rates: [Double]
    let draws: Draws
    private var position = 0

    /// - Parameters:
    ///   - rates: by level, the outermost first, each at least 0 and below 1; as many as the stage has levels.
    ///   - draws: of the samples that pass.
    public init(rates: [Double], draws: Draws) {
        self.rates = rates
        self.draws = draws
    }

    /// That of the next block, which lies in a level; nil where it drops nothing.
    mutating func next(level: Int) -> Dropout? {
        position += 1
        guard rates.indices.contains(level), rates[level] > 0 else { return nil }
        return Dropout(rate: rates[level], draws: draws, .network, position: position)
    }
}
