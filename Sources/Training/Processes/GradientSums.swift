import Failures
import Torch

/// Adds up gradients over the processes while the backward pass that makes them goes on.
///
/// Tensors lie in buckets, the last tensor first, which is about the order in which a pass comes by them. A bucket is sent once
/// its gradients are there and the buckets before it have been sent: so all processes send the same messages in the same
/// order, whichever gradients they lack.
final class GradientSums {
    /// Numbers that a bucket has at least, but for the last one.
    static let bucketSize = 1 << 20
    /// Buckets that are on their way at once; the pass waits where there are more.
    static let mostUnderWay = 16

    private let group: ProcessGroup
    private let parameters: [(name: String, tensor: Tensor)]
    private let arrivals: [Int]
    private let buckets: [[Int]]

    /// Takes a gradient; nil outside of the last pass of an update.
    private var gradients: ((_ index: Int) throws -> Tensor?)?
    private var awaited: [Int] = []
    /// Gradients that have been handed to the group, and are sums once all messages are finished.
    private var sums: [Int: Tensor] = [:]
    private var sent = 0
    private var underWay: ArraySlice<ProcessGroup.Message> = []

    /// - Parameters:
    ///   - parameters: the same in all processes.
    ///   - bucketSize: numbers that a bucket has at least.
    ///   - arrivals: how often a backward pass adds to each tensor's gradient, by its name.
    init(
        _ group: ProcessGroup, _ parameters: [(name: String, tensor: Tensor)], bucketSize: Int = bucketSize,
        arrivals: (_ name: String) -> Int
    ) throws {
        (self.group, self.parameters) = (group, parameters)
        self.arrivals = parameters.map { arrivals($0.name) }
        buckets = Self.buckets(of: parameters.map(\.tensor.count), size: bucketSize)
        for (index, (_, tensor)) in parameters.enumerated() {
            try tensor.setGradientHook { [weak self] in try self?.arrived(index) }
        }
    }

    deinit {
        for (_, tensor) in parameters { try? tensor.setGradientHook(nil) }
    }

    /// Places of tensors that are sent together.
    static func buckets(of counts: [Int], size: Int = bucketSize) -> [[Int]] {
        var buckets: [[Int]] = []
        var numbers = size
        for index in counts.indices.reversed() where counts[index] > 0 {
            if numbers >= size {
                buckets.append([])
                numbers = 0
            }
            buckets[buckets.count - 1].append(index)
            numbers += counts[index]
        }
        return buckets
    }

    /// Begins an update.
    func begin() { (sums, sent, underWay) = ([:], 0, []) }

    /// Runs the last backward pass of an update and sends what it makes. May be called again where a pass failed; what was sent
    /// stays so, for a gradient is the same whichever parts it was added up from, but for rounding.
    /// - Parameter gradient: takes the gradient of a tensor over all of this process's samples, in float32; nil where there is none.
    func pass(_ gradient: @escaping (_ index: Int) throws -> Tensor?, backward: () throws -> Void) throws {
        (gradients, awaited) = (gradient, arrivals)
        defer { gradients = nil }
        try backward()
        // What the pass did not come by has no further gradient.
        awaited = awaited.map { _ in 0 }
        try send()
    }

    /// Waits for all sums.
    /// - Returns: by place, in float32.
    func finish() throws -> [Int: Tensor] {
        while let message = underWay.popFirst() { try message.finish() }
        defer { sums = [:] }
        return sums
    }

    private func arrived(_ index: Int) throws {
        guard gradients != nil else { return }
        guard awaited[index] > 0 else {
            throw Failure.run("a gradient came after its sum", got: "`\(parameters[index].name)`")
        }
        awaited[index] -= 1
        guard awaited[index] == 0 else { return }
        // Of a pass that is made again.
        if sums[index] != nil { _ = try gradients?(index) } else { try send() }
    }

    /// Sends the buckets whose turn it is.
    private func send() throws {
        while sent < buckets.count, buckets[sent].allSatisfy({ awaited[$0] == 0 }) {
            let bucket = try buckets[sent].map { index in
                let tensor = parameters[index].tensor
                let gradient = try gradients?(index) ?? .zeros(tensor.shape, device: tensor.device)
                return (index, try gradient.contiguous())
            }
            while underWay.count >= Self.mostUnderWay, let first = underWay.popFirst() { try first.finish() }
            underWay.append(try group.beginSum(bucket.map(\.1)))
            sums.merge(bucket) { $1 }
            sent += 1
        }
    }
}
