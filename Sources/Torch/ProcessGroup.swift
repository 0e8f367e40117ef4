import CTorch
import Failures

/// Processes that work on the same updates, on one machine or several: c10d over Gloo, and NCCL between GPUs.
///
/// Each process has to ask for the same sums in the same order. A process that ends takes the others' next sum with it:
/// they throw, at the latest when the group's patience is over.
public final class ProcessGroup {
    /// Where a process finds the others, and which one it is.
    public struct Place: Equatable, Sendable {
        /// Counted from 0.
        public var rank: Int
        /// How many processes there are.
        public var size: Int
        /// Counted from 0 on each machine.
        public var localRank: Int
        /// How many of them share this one's machine.
        public var localSize = 1
        /// Of the first process.
        public var host: String
        /// The TCP port at `host` where all processes meet.
        public var port: Int
        /// Whether something else, such as torchrun, listens at the port; else the first process does.
        public var hasStore = false
        /// Tells apart groups that meet at the same place one after another.
        public var name = "cascade"

        /// A place with one process on its machine, no store that listens already, and the usual name.
        public init(rank: Int, size: Int, localRank: Int, host: String, port: Int) {
            self.rank = rank
            self.size = size
            self.localRank = localRank
            self.host = host
            self.port = port
        }
    }

    /// Where this process found the others, and which one it is.
    public let place: Place
    private let handle: OpaquePointer
    private let engine: Engine

    /// The number of this process, from 0.
    public var rank: Int { place.rank }
    /// How many processes the group has.
    public var size: Int { place.size }

    /// Meets the other processes.
    /// - Parameter patience: in seconds, for the meeting and for each sum.
    /// - Throws: a failure of the run that names the process that did not come.
    public init(_ place: Place, patience: Double) throws {
        engine = try Engine.shared()
        var handle: OpaquePointer?
        try engine.check(
            engine.table.pointee.start_group(
                Int32(clamping: place.rank), Int32(clamping: place.size), place.host, Int32(clamping: place.port),
                place.name, place.rank == 0 && !place.hasStore, patience, &handle),
            "process \(place.rank) of \(place.size) can't meet the others at \(place.host):\(place.port)")
        guard let handle else { throw Failure.run("the engine made no group of processes") }
        (self.place, self.handle) = (place, handle)
    }

    deinit { engine.table.pointee.end_group(handle) }

    /// Lets what lies on GPUs be added up from GPU to GPU, by NCCL, where libtorch has it and each process a GPU of its own;
    /// else it goes through host memory. All processes have to call it at the same place.
    /// - Parameter device: this process's.
    /// - Returns: whether it can be done so.
    public func use(_ device: Device) throws -> Bool {
        var isDirect = false
        try tellingLoss { try engine.check(engine.table.pointee.use_device(handle, device.raw, &isDirect)) }
        return isDirect
    }

    /// Puts in the place of each tensor the sum of what the processes have there; bfloat16 is added up in float32.
    public func sum(_ tensors: [Tensor]) throws {
        let handles = tensors.map { Optional($0.handle) }
        try tellingLoss {
            try engine.check(
                handles.withUnsafeBufferPointer {
                    engine.table.pointee.sum_over(handle, $0.baseAddress, Int32($0.count))
                })
        }
        withExtendedLifetime(tensors) {}
    }

    private func tellingLoss(_ body: () throws -> Void) throws {
        do { try body() } catch let failure as Failure where !failure.lacksMemory {
            // Such as "[FILE:LINE] Connection closed by peer [ADDRESS]. HINTS".
            let reason = failure.what.split(separator: "] ", maxSplits: 1).last ?? ""
            let sentence = reason.split(separator: ". ", maxSplits: 1).first ?? reason
            throw Failure.run("process \(rank) of \(size) has lost the others", got: "\(sentence); \(whoIsSilent())")
        }
    }

    /// Who of the others gives no sign of life any more.
    private func whoIsSilent() -> String {
        var beating = [Bool](repeating: true, count: size)
        guard engine.table.pointee.feel_pulses(handle, &beating) == 0 else {
            return "no sign of process 0, at whose host \(place.host) they meet"
        }
        let silent = beating.indices.filter { !beating[$0] && $0 != rank }.map(String.init)
        return silent.isEmpty
            ? "all of them are there"
            : "no sign of process\(silent.count > 1 ? "es" : "") \(silent.joined(separator: ", "))"
    }

    /// What is on its way between the processes. Nobody may touch its tensors until it is finished.
    public final class Message {
        private let group: ProcessGroup
        private let tensors: [Tensor]
        private var handle: OpaquePointer?

        fileprivate init(
            _ group: ProcessGroup, _ tensors: [Tensor], begin: (Engine, inout OpaquePointer?) throws -> Void
        ) throws {
            (self.group, self.tensors) = (group, tensors)
            try group.tellingLoss { try begin(group.engine, &handle) }
        }

        /// Waits until it is there.
        public func finish() throws {
            guard let started = handle else { return }
            handle = nil
            try group.tellingLoss { try group.engine.check(group.engine.table.pointee.finish_message(started, true)) }
        }

        deinit {
            if let handle { _ = group.engine.table.pointee.finish_message(handle, false) }
        }
    }

    /// Begins to gather a row of bytes, of which each process has a part of the same length at its place.
    /// - Parameter row: [processes * bytes], uint8, on the CPU.
    public func gather(_ row: Tensor) throws -> Message {
        try Message(self, [row]) { try $0.check($0.table.pointee.begin_gather(handle, row.handle, &$1)) }
    }

    /// Begins to put in the place of each tensor the sum of what the processes have there.
    /// - Parameter tensors: of one dtype, none of them empty; bfloat16 is added up in float32.
    public func beginSum(_ tensors: [Tensor]) throws -> Message {
        let handles = tensors.map { Optional($0.handle) }
        return try Message(self, tensors) { engine, out in
            try handles.withUnsafeBufferPointer {
                try engine.check(engine.table.pointee.begin_sum(handle, $0.baseAddress, Int32($0.count), &out))
            }
        }
    }

    /// Puts the sum over all processes in the place of this process's part of a row; the rest becomes anything.
    /// - Parameter row: [processes * numbers], float32, on the CPU.
    public func sumParts(_ row: Tensor) throws {
        try tellingLoss { try engine.check(engine.table.pointee.sum_parts(handle, row.handle)) }
        withExtendedLifetime(row) {}
    }

    /// What every process says, by rank: numbers as many as this one's.
    public func gathered(_ numbers: [Double]) throws -> [[Double]] {
        guard !numbers.isEmpty else { return Array(repeating: [], count: size) }
        var all = [Double](repeating: 0, count: size * numbers.count)
        all.replaceSubrange(rank * numbers.count..<(rank + 1) * numbers.count, with: numbers)
        let table = try Tensor(all)
        try sum([table])
        let sums = try table.values(as: Double.self)
        return (0..<size).map { Array(sums[$0 * numbers.count..<($0 + 1) * numbers.count]) }
    }

    /// Waits until every process is here.
    public func meet() throws { _ = try gathered([1]) }
}
