/// Linear warm-up to a constant rate: update u of w warm-up updates uses u / w of it, so none is without effect.
struct LearningRate {
    let full: Double
    let warmupUpdates: Int

    /// - Parameter update: counted from 1.
    func callAsFunction(_ update: Int) -> Double {
        warmupUpdates == 0 ? full : full * min(1, Double(update) / Double(warmupUpdates))
    }
}
