/// How fast the processes that train together are, each by itself: what it waits for the others is left out.
final class ProcessTimes {
    /// What a process took for its share of an update.
    struct Timing {
        let samples: Int
        /// Until its gradients were there.
        let seconds: Double
        /// How much of that it waited for its samples.
        let waited: Double
        /// The most bytes that its tensors took at a time so far.
        let bytes: Int
    }

    private var sums: [(samples: Int, seconds: Double, waited: Double)]
    private var updates = 0
    private var bytes: [Int]

    /// - Parameter count: of processes.
    init(_ count: Int) {
        sums = Array(repeating: (0, 0, 0), count: count)
        bytes = Array(repeating: 0, count: count)
    }

    /// Takes in an update.
    func add(_ timings: [Timing]) {
        updates += 1
        for (index, timing) in timings.enumerated() {
            sums[index].samples += timing.samples
            sums[index].seconds += timing.seconds
            sums[index].waited += timing.waited
            bytes[index] = max(bytes[index], timing.bytes)
        }
    }

    /// What a process is seen to do.
    struct Rate {
        /// A second.
        let samples: Double
        /// For data, in seconds an update.
        let waited: Double
        /// The most bytes of tensors at a time.
        let bytes: Int
    }

    /// Of each process; none before the first update.
    var rates: [Rate] {
        guard updates > 0 else { return [] }
        return zip(sums, bytes).map {
            Rate(samples: Double($0.samples) / max($0.seconds, 1e-9), waited: $0.waited / Double(updates), bytes: $1)
        }
    }
}
