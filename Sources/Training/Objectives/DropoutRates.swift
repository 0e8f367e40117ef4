import Cascade
import Failures
import JSON
import Torch

/// What a network drops while it is trained or an adapter on it is: the `dropout` of a configuration.
///
/// The reference trains a whole stage with its constructor's dropout, and the base of an adapter with or without it by
/// accident of which call came last. Here a whole stage has its architecture's, a frozen base has none, and the key
/// says otherwise.
struct DropoutRates {
    /// By level, the outermost first.
    let rates: [Double]

    /// - Parameter isFrozen: whether the network is only the base of what is trained.
    init(_ run: RunConfiguration, _ architecture: some StageConfiguration, isFrozen: Bool) throws {
        guard let written = run.dropout else {
            rates = isFrozen ? [] : architecture.dropout
            run.values?.settle("dropout", isFrozen ? 0 : .array(rates.map(JSON.number)))
            return
        }
        let levels = architecture.levels
        guard written.count == 1 || written.count == levels else {
            throw Failure.input(
                "`dropout` does not fit the network", at: run.places.dropout,
                expected: "one number, or \(levels), one for each level", got: "\(written.count)")
        }
        rates = written.count == 1 ? .init(repeating: written[0], count: levels) : written
    }

    /// That of a pass of some samples; nil where nothing is dropped.
    func pass(_ draws: Draws) -> DropoutPass? {
        rates.contains { $0 > 0 } ? DropoutPass(rates: rates, draws: draws) : nil
    }
}
