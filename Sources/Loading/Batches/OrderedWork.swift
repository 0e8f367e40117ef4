import Shards

/// Jobs that several threads do at once, and whose results come out in the order in which the jobs went in.
///
/// One thread puts jobs in, any number do them, one takes the results. A job is on its way from when it is put in until
/// its result is taken; how many are, and how many bytes they have together, is bounded, so that whoever is ahead waits.
/// Closing wakes and ends them all.
final class OrderedWork<Job: Sendable, Output: Sendable>: @unchecked Sendable {
    struct Limits: Sendable {
        /// How many jobs may be on their way, at least 1.
        var jobs: Int
        /// How many bytes they may have together; one alone may have more.
        var bytes: Int
    }

    private struct Done {
        let output: Result<Output, any Error>
        let bytes: Int
    }

    private let limits: Limits
    private let monitor = Monitor()
    private let room = Monitor.Condition()
    private let waitingJobs = Monitor.Condition()
    private let nextIsDone = Monitor.Condition()
    /// What nobody does yet.
    private var jobs: [(number: Int, job: Job)] = []
    private var done: [Int: Done] = [:]
    private var bytesOfUndone: [Int: Int] = [:]
    private var bytes = 0
    private var put = 0
    private var handedOut = 0
    private var isClosed = false

    init(_ limits: Limits) { self.limits = limits }

    /// Puts a job in, once there is room for it.
    /// - Parameter bytes: what the job and its result may take at once.
    /// - Returns: false once closed.
    func put(_ job: Job, bytes added: Int) -> Bool {
        monitor.withLock {
            while !isClosed, put > handedOut, put - handedOut >= limits.jobs || bytes + added > limits.bytes {
                monitor.wait(for: room)
            }
            guard !isClosed else { return false }
            jobs.append((put, job))
            bytesOfUndone[put] = added
            bytes += added
            put += 1
            waitingJobs.signal()
            return true
        }
    }

    /// The next job for whoever does them, with its place in the order; nil once closed.
    func take() -> (number: Int, job: Job)? {
        monitor.withLock {
            while !isClosed, jobs.isEmpty { monitor.wait(for: waitingJobs) }
            return isClosed ? nil : jobs.removeFirst()
        }
    }

    /// Tells what became of a job.
    /// - Parameter bytes: what its result takes.
    func finish(_ number: Int, _ output: Result<Output, any Error>, bytes left: Int) {
        monitor.withLock {
            bytes += left - (bytesOfUndone.removeValue(forKey: number) ?? 0)
            done[number] = Done(output: output, bytes: left)
            if number == handedOut { nextIsDone.signal() }
            room.signal()
        }
    }

    /// The result of the next job in order; nil once closed.
    /// - Throws: what the job failed with.
    func next() throws -> Output? {
        try monitor.withLock {
            while !isClosed, done[handedOut] == nil { monitor.wait(for: nextIsDone) }
            guard !isClosed, let result = done.removeValue(forKey: handedOut) else { return nil }
            handedOut += 1
            bytes -= result.bytes
            room.signal()
            return try result.output.get()
        }
    }

    var isOpen: Bool { monitor.withLock { !isClosed } }

    /// Ends all waiting and drops what is on its way.
    func close() {
        monitor.withLock {
            isClosed = true
            jobs = []
            done = [:]
            for condition in [room, waitingJobs, nextIsDone] { condition.broadcast() }
        }
    }
}
