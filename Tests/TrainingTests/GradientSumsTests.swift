import Failures
import TestSupport
import Testing
import Torch

@testable import Training

/// Gradients that processes, here threads, add up while their backward passes go on.
@Suite struct GradientSumsTests {
    @Test func `tensors are sent together from the last on, until there are enough numbers`() {
        #expect(GradientSums.buckets(of: [3, 100, 5, 0, 95, 7], size: 100) == [[5, 4], [2, 1], [0]])
        #expect(GradientSums.buckets(of: [3, 4], size: 100) == [[1, 0]])
        #expect(GradientSums.buckets(of: []) == [])
    }

    /// Large enough for a bucket each, and two that share one.
    private static let counts = [
        GradientSums.bucketSize, 1000, 70_000, GradientSums.bucketSize + 1, GradientSums.bucketSize,
    ]

    /// The gradients of a process, which has none of some tensors.
    private static func gradients(_ rank: Int, of ranks: Int) throws -> [Tensor?] {
        try counts.enumerated().map { index, count in
            let generator = try Generator(seed: UInt64(100 * rank + index))
            return rank > 0 && index % ranks == rank ? nil : try generator.normal([count])
        }
    }

    /// What each process has in the end.
    private func summed(_ ranks: Int, inParts parts: Int = 1, failing: (rank: Int, arrival: Int)? = nil) throws
        -> [[Tensor]]
    {
        try inGroup(of: ranks) { group in
            let fails = failing.flatMap { $0.rank == group.rank ? $0.arrival : nil }
            return try Self.sums(group, inParts: parts, failsAt: fails)
        }
    }

    private static func sums(_ group: ProcessGroup, inParts parts: Int, failsAt: Int?) throws -> [Tensor] {
        let parameters = try counts.enumerated().map { ("\($0)", try Tensor.zeros([$1])) }
        for (_, tensor) in parameters { try tensor.setRequiresGrad(true) }
        let sums = try GradientSums(group, parameters.map { (name: $0, tensor: $1) }, bucketSize: 1000) { _ in 1 }
        let gradients = try gradients(group.rank, of: group.size)
        func backward() throws {
            let losses = try zip(parameters, gradients).compactMap { parameter, gradient in
                try gradient.map { try (parameter.1 * $0).sum() / Double(parts) }
            }
            try losses.dropFirst().reduce(losses[0]) { try $0 + $1 }.backward()
        }
        sums.begin()
        for attempt in 0..<2 {
            for _ in 1..<parts { try backward() }
            var arrivals = 0
            do {
                try sums.pass(
                    { index in
                        arrivals += 1
                        if attempt == 0, arrivals == failsAt { throw Failure.run("no memory") }
                        let tensor = parameters[index].1
                        defer { try? tensor.setGradient(nil) }
                        return try tensor.gradient()
                    }, backward: backward)
                break
            } catch  where failsAt != nil && attempt == 0 {
                for (_, tensor) in parameters { try tensor.setGradient(nil) }
            }
        }
        let all = try sums.finish()
        return try parameters.indices.map { try #require(all[$0]) }
    }

    private func expected(_ ranks: Int) throws -> [Tensor] {
        let all = try (0..<ranks).map { try Self.gradients($0, of: ranks) }
        return try Self.counts.enumerated().map { index, count in
            try all.reduce(Tensor.zeros([count])) { sum, own in try own[index].map { try sum + $0 } ?? sum }
        }
    }

    @Test(arguments: [2, 3]) func `all come to the sums, also of tensors that some have no gradient of`(ranks: Int)
        throws
    {
        let expected = try expected(ranks)
        for own in try summed(ranks) {
            for (ours, theirs) in zip(own, expected) { #expect(try largestDifference(ours, theirs) < 1e-6) }
        }
    }

    @Test func `gradients of earlier passes count`() throws {
        let expected = try expected(2)
        for own in try summed(2, inParts: 2) {
            for (ours, theirs) in zip(own, expected) { #expect(try largestDifference(ours, theirs) < 1e-6) }
        }
    }

    /// At the first tensor, and in the middle, when some sums are on their way.
    @Test(arguments: [1, 2, 4]) func `a pass that fails is made again, and nothing is sent twice`(arrival: Int) throws {
        let expected = try expected(2)
        for own in try summed(2, failing: (1, arrival)) {
            for (ours, theirs) in zip(own, expected) { #expect(try largestDifference(ours, theirs) < 1e-6) }
        }
    }
}
