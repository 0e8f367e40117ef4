import Failures
import Files
import Glibc
import Testing
import Torch

/// The memory of tensors on the CPU, and how its end is told.
@Suite struct BlockAllocatorTests {
    @Test func `an allocation that fails says that there was no memory, and the next one works`() throws {
        let engine = try Engine.shared()
        for bytes in [4, 16 << 20] {
            try engine.failAllocation(2)
            let first = try Tensor.zeros([bytes / 4])
            let failure = try #require(throws: Failure.self) { _ = try Tensor.zeros([bytes / 4]) }
            #expect(failure.lacksMemory && failure.blame == .run && "\(failure)".contains("\(bytes) bytes"))
            let next = try Tensor.zeros([bytes / 4])
            #expect(try first.sum().item() == 0 && next.sum().item() == 0)
        }
    }

    /// Each allocation of a pass and its way back in turn, until none is left to fail.
    @Test
    func `one that fails in the backward pass is told as such, through what is computed again and through hooks too`()
        throws
    {
        let engine = try Engine.shared()
        let weight = try Tensor([Float(2), 3])
        try weight.setRequiresGrad(true)
        try weight.setGradientHook { _ = try Tensor.zeros([8]) }
        var failures = 0
        for number in 1...200 {
            try weight.setGradient(nil)
            try engine.failAllocation(number)
            defer { try? engine.failAllocation(nil) }
            do {
                let y = try checkpointed([weight]) { try ($0[0] * $0[0]).sum() }
                try y.backward()
            } catch let failure as Failure {
                #expect(failure.lacksMemory, "\(number): \(failure)")
                failures += 1
                continue
            }
            break
        }
        #expect(failures > 8)
        try weight.setGradientHook(nil)
        let gradient = try #require(try weight.gradient())
        let values: [Float] = try gradient.values()
        #expect(values == [4, 6])
    }

    @Test func `what a large tensor took goes back when asked for, and what waits is used again`() throws {
        let bytes = 768 << 20
        let before = try resident()
        var tensor: Tensor? = try .zeros([bytes / 4]) + 1
        #expect(try tensor?.sum().item() == Double(bytes / 4))
        let during = try resident()
        tensor = nil
        Engine.releaseMemory()
        let after = try resident()
        // Other tests take and free a little beside this.
        #expect(during - before > bytes * 3 / 4 && during - after > bytes * 3 / 4)
        for _ in 0..<64 {
            let one = try Tensor.zeros([1 << 20]) + 1
            #expect(try one.sum().item() == Double(1 << 20))
        }
        #expect(try resident() - after < 256 << 20)
    }

    /// Pages that had to be made for so many megabytes of numbers.
    private static func pagesMade(for megabytes: Int) throws -> Int {
        func faults() -> Int {
            var usage = rusage()
            getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
            return usage.ru_minflt
        }
        let before = faults()
        _ = try Tensor.full([megabytes << 18], 1)
        return faults() - before
    }

    @Test func `a block of another size takes over pages that would go`() async {
        await #expect(processExitsWith: .success) {
            _ = try Engine.shared()
            let first = try Self.pagesMade(for: 100)
            // The 100 may not wait beside 90 that are taken.
            #expect(try Self.pagesMade(for: 90) < first / 4)
            // More than all that wait: the pages are there but for those that are more.
            let larger = try Self.pagesMade(for: 180)
            #expect(larger < first * 5 / 4, "\(larger) of \(first)")
            let tensor = try Tensor.full([120 << 18], 2)
            #expect(try tensor.sum().item() == Double(2 * 120 << 18))
        }
    }

    /// Bytes of this process' own memory.
    private func resident() throws -> Int {
        let text = String(decoding: try readFile("/proc/self/status", limit: 1 << 16), as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("RssAnon:") })
        return try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) }) << 10
    }
}
