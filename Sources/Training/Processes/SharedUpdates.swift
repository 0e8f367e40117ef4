import Failures
import Files
import Loading
import Torch

/// Why a process ends whose first one says the reason: an input is at fault.
public struct ReportedByFirstProcess: Error {}

/// What the processes that train one run together have to agree on.
///
/// Every process reads the same data, and decodes and takes its share of each update's samples. Sums of gradients and losses then make
/// all of them take the same step, so that what is trained stays the same everywhere; the first process alone writes.
struct SharedUpdates {
    private let group: ProcessGroup
    private let share: BatchShare
    /// How fast each of them is.
    let times: ProcessTimes
    /// Whether they share the network, so that none can pass through it by itself.
    let passTogether: Bool

    init(_ group: ProcessGroup, passTogether: Bool = false) {
        (self.group, self.passTogether) = (group, passTogether)
        share = BatchShare(rank: group.rank, of: group.size)
        times = ProcessTimes(group.size)
    }

    /// Whether this process writes for all.
    var isWriter: Bool { group.rank == 0 }

    /// What its loader has to know of the others.
    var peers: LoadingPeers {
        LoadingPeers(share) { [group] numbers in
            let sums = try Tensor(numbers)
            try group.sum([sums])
            return try sums.values(as: Double.self)
        }
    }

    /// How many passes through a network that they share this process makes only for the others' sake, where its own
    /// samples are gone through in so many parts.
    func idlePasses(of count: Int, parts: Int) -> Int {
        guard passTogether else { return 0 }
        func passes(_ rank: Int) -> Int { min(parts, share.range(of: count, rank: rank).count) }
        return (0..<group.size).reduce(0) { max($0, passes($1)) } - passes(group.rank)
    }

    /// Adds up gradients, in their place.
    func sum(_ gradients: [Tensor]) throws { try group.sum(gradients) }

    /// What adds them up while the backward pass goes on; nil where that is one message anyhow, or where the processes' passes
    /// through a network that they share send messages of their own.
    func sumsInPass(
        of parameters: [(name: String, tensor: Tensor)], arrivals: (_ name: String) -> Int
    ) throws -> GradientSums? {
        guard !passTogether, GradientSums.buckets(of: parameters.map(\.tensor.count)).count > 1 else { return nil }
        return try GradientSums(group, parameters, arrivals: arrivals)
    }

    /// The norm of all numbers, from that of each process's.
    func norm(_ own: Double) throws -> Double {
        try group.gathered([own * own]).reduce(0) { $0 + $1[0] }.squareRoot()
    }

    /// The numbers of all samples of an update, from those of each process's share.
    /// - Parameters:
    ///   - own: of this process's samples, [samples] each.
    ///   - batch: all samples of the update.
    ///   - timing: this process's, until its share was done.
    /// - Returns: the numbers, and how long each process took.
    func all(
        _ own: [Tensor], of batch: ImageBatch, _ timing: ProcessTimes.Timing
    ) throws -> (numbers: [Tensor], timings: [ProcessTimes.Timing]) {
        let count = batch.samples.count
        let whole = try own.map { own in
            let whole = try Tensor.zeros([count], dtype: own.dtype, device: own.device)
            for (index, place) in batch.own.enumerated() {
                try whole.sliced(0, place..<place + 1).assign(own.sliced(0, index..<index + 1))
            }
            return whole
        }
        let own = [timing.seconds, timing.waited, Double(timing.bytes)].map { Float($0) }
        var numbers = [Float](repeating: 0, count: own.count * group.size)
        numbers.replaceSubrange(own.count * group.rank..<own.count * (group.rank + 1), with: own)
        let told = try Tensor(numbers)
        // Of the same dtype they are one message.
        try group.sum(whole + [told])
        let said = try told.values(as: Double.self)
        let timings = (0..<group.size).map {
            ProcessTimes.Timing(
                samples: share.range(of: count, rank: $0).count, seconds: said[3 * $0], waited: said[3 * $0 + 1],
                bytes: Int(said[3 * $0 + 2]))
        }
        times.add(timings)
        return (whole, timings)
    }

    /// Whether any process says so.
    func any(_ said: Bool) throws -> Bool { try group.gathered([said ? 1 : 0]).contains { $0[0] > 0 } }

    /// Holds a run against the other processes', before anything is loaded.
    /// - Throws: a failure of the input where it can't be trained by several processes, or not by these.
    static func check(_ run: RunConfiguration, _ options: RunOptions) throws {
        guard let group = options.group else { return }
        let shared = SharedUpdates(group)
        try shared.check("version of the program", programVersion)
        let text = (run.effective ?? run.written.json).text()
        try shared.check("configuration or seed", "\(text) \(options.seed.map(String.init) ?? "")")
        guard run.batchSize >= group.size else {
            guard shared.isWriter else { throw ReportedByFirstProcess() }
            throw Failure.input(
                "an update has fewer samples than there are processes",
                expected: "batch_size of at least \(group.size)", got: "\(run.batchSize)")
        }
    }

    /// Waits for the others.
    func meet() throws { try group.meet() }

    /// Holds something against the first process's.
    /// - Parameters:
    ///   - what: a noun, such as "configuration".
    ///   - text: is to be the same everywhere.
    /// - Throws: in the first process a failure that names those that have another one, in the others
    ///   ``ReportedByFirstProcess``.
    func check(_ what: String, _ text: String, advice: String? = nil) throws {
        // 48 bits of it are a number that no sum rounds.
        let number = Int(SHA256.hex(of: Array(text.utf8)).prefix(12), radix: 16) ?? 0
        let numbers = try group.gathered([Double(number)]).map { $0[0] }
        let others = numbers.indices.filter { numbers[$0] != numbers[0] }
        guard !others.isEmpty else { return }
        guard isWriter else { throw ReportedByFirstProcess() }
        let named = others.map(String.init).joined(separator: ", ")
        throw Failure.input(
            "processes have another \(what) than process 0", expected: "the same in all \(group.size)",
            got: "another in \(others.count == 1 ? "process" : "processes") \(named)", advice: advice)
    }

    /// Holds the weights of all processes against each other.
    /// - Throws: a failure of the run where they differ: what was saved before is still right.
    func check(_ tensors: [Tensor]) throws {
        let sums = try tensors.map { try $0.sumOfBits() }
        let all = try group.gathered(sums)
        guard let other = all.indices.first(where: { all[$0] != all[0] }) else { return }
        throw Failure.run(
            "the weights of process \(other) are not those of process 0 any more",
            advice: "the last checkpoint is right; the same command goes on from there")
    }
}
