/// How fast the processes that train together are, each by itself: what it waits for the others is left out.
final class ProcessTimes {
    /// What a process took for its share of an update.
    struct Timing {
        let samples: Int
        /// Until its gradients were there.
        let seconds: Double
        /// How much of that it waited for its samples.
        let waited: Double
    }

    private var sums: [(samples: Int, seconds: Double, waited: Double)]
    private var updates = 0

    /// - Parameter count: of processes.
    init(_ count: Int) { sums = Array(repeating: (0, 0, 0), count: count) }

    /// Takes in an update.
    func add(_ timings: [Timing]) {
        updates += 1
        for (index, timing) in timings.enumerated() {
            sums[index].samples += timing.samples
            sums[index].seconds += timing.seconds
            sums[index].waited += timing.waited
        }
    }

    /// Each process's samples a second, and what it waited for data, in seconds an update; none before the first update.
    var rates: [(samples: Double, waited: Double)] {
        guard updates > 0 else { return [] }
        return sums.map { (Double($0.samples) / max($0.seconds, 1e-9), $0.waited / Double(updates)) }
    }
}
