import CTorch

/// A copy of numbers into a tensor's place that goes on while its device computes; on the CPU it is done at once.
public final class DeviceCopy {
    private let engine: Engine
    private var handle: OpaquePointer?

    /// Begins it, once the device has done what it was asked so far. Nobody may touch either tensor until it is finished.
    /// - Parameters:
    ///   - from: of the same shape and type, in pinned memory where the copy is to go on by itself.
    ///   - to: the place.
    public init(_ from: Tensor, to: Tensor) throws {
        engine = try Engine.shared()
        try engine.check(engine.table.pointee.begin_copy(to.handle, from.handle, &handle))
        withExtendedLifetime((from, to)) {}
    }

    /// Lets what the device is asked from here on wait for it.
    public func finish() throws {
        guard let started = handle else { return }
        handle = nil
        try engine.check(engine.table.pointee.finish_copy(started))
    }

    deinit {
        if let handle { _ = engine.table.pointee.finish_copy(handle) }
    }
}

extension Tensor {
    /// The same numbers in host memory that a device reads by itself.
    public func pinned() throws -> Tensor { try Operators.pinMemory(.tensor(self), .none) }
}
