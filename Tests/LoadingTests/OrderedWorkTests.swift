import Failures
import Shards
import Synchronization
import Testing

@testable import Loading

@Suite struct OrderedWorkTests {
    /// Threads that double numbers, some of them late.
    private func doubling(
        _ work: OrderedWork<Int, Int>, threads: Int, failing: Int? = nil
    ) throws -> [WorkThread] {
        try (0..<threads).map { _ in
            try WorkThread {
                while let (number, job) = work.take() {
                    for _ in 0..<(job % 3 == 0 ? 20_000 : 0) { _ = Mutex(0).withLock(\.self) }
                    let result = Result { () throws(Failure) -> Int in
                        if job == failing { throw Failure.run("job \(job)") }
                        return 2 * job
                    }
                    work.finish(number, result.mapError { $0 }, bytes: 1)
                }
            }
        }
    }

    @Test(arguments: [1, 4])
    func `results come in the order of the jobs`(threads: Int) throws {
        let work = OrderedWork<Int, Int>(.init(jobs: 5, bytes: 100))
        let reader = try WorkThread { for job in 0..<300 where !work.put(job, bytes: 1) { return } }
        let workers = try doubling(work, threads: threads)
        for job in 0..<300 { #expect(try work.next() == 2 * job) }
        work.close()
        for thread in [reader] + workers { thread.join() }
    }

    @Test func `a failure comes in its turn`() throws {
        let work = OrderedWork<Int, Int>(.init(jobs: 8, bytes: 100))
        let workers = try doubling(work, threads: 3, failing: 4)
        for job in 0..<8 { #expect(work.put(job, bytes: 1)) }
        for job in 0..<4 { #expect(try work.next() == 2 * job) }
        #expect(throws: Failure.run("job 4")) { try work.next() }
        #expect(try work.next() == 10)
        work.close()
        for thread in workers { thread.join() }
    }

    @Test(arguments: [(3, 1000, 3), (100, 5, 2), (100, 1, 1)])
    func `whoever is ahead waits`(jobs: Int, bytes: Int, ahead: Int) throws {
        let work = OrderedWork<Int, Int>(.init(jobs: jobs, bytes: bytes))
        let put = Mutex(0)
        let reader = try WorkThread {
            // A job has two bytes; where only one fits, it goes through alone.
            while work.put(put.withLock(\.self), bytes: 2) { put.withLock { $0 += 1 } }
        }
        for taken in 0..<50 {
            let (number, job) = try #require(work.take())
            // The last one put may not be counted yet, and none can be put that has no room.
            #expect(put.withLock(\.self) <= taken + ahead)
            work.finish(number, .success(job), bytes: 2)
            #expect(put.withLock(\.self) <= taken + ahead)
            #expect(try work.next() == taken)
        }
        work.close()
        reader.join()
        #expect(put.withLock(\.self) <= 50 + ahead)
    }

    @Test func `closing wakes all who wait`() throws {
        let work = OrderedWork<Int, Int>(.init(jobs: 1, bytes: 1))
        #expect(work.put(0, bytes: 1))
        let ended = Mutex(0)
        let threads = [
            try WorkThread {
                if !work.put(1, bytes: 1) { ended.withLock { $0 += 1 } }
            },
            try WorkThread {
                while work.take() != nil {}
                ended.withLock { $0 += 1 }
            },
            try WorkThread {
                if (try? work.next()) == .some(nil) { ended.withLock { $0 += 1 } }
            },
        ]
        work.close()
        for thread in threads { thread.join() }
        #expect(ended.withLock(\.self) == 3)
        #expect(!work.isOpen && !work.put(2, bytes: 1) && work.take() == nil)
    }
}
