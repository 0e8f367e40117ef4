import CTorch

/// A source of random numbers that is always handed in, never global.
///
/// Numbers are drawn on the CPU, so a seed means the same on every device.
public final class Generator {
    let handle: OpaquePointer

    /// A generator that begins the sequence of a seed.
    public init(seed: UInt64) throws {
        let engine = try Engine.shared()
        var out: OpaquePointer?
        try engine.check(engine.table.pointee.make_generator(seed, &out))
        handle = try out.orMissing("generator")
    }

    deinit { engineTable.pointee.release_generator(handle) }

    /// A generator for one purpose of one update: the same whatever was drawn before it, so that a run resumed at any
    /// update draws what the uninterrupted one would have drawn.
    public convenience init(seed: UInt64, stream: UInt64, update: Int) throws {
        var state = seed
        for word in [stream, UInt64(bitPattern: Int64(update))] {
            state = SplitMix64.mixed(state ^ SplitMix64.mixed(word))
        }
        try self.init(seed: state)
    }

    /// Standard normal numbers.
    public func normal(_ shape: [Int], device: Device = .cpu) throws -> Tensor {
        try Operators.randn(.ints(shape), .generator(self)).to(device: device)
    }

    /// Numbers uniform in 0..<1.
    public func uniform(_ shape: [Int], device: Device = .cpu) throws -> Tensor {
        try Operators.rand(.ints(shape), .generator(self)).to(device: device)
    }

    /// One number uniform in 0..<1.
    public func uniform() throws -> Double { try uniform([1]).item() }

    /// What `body` gives, and whether it drew numbers from this generator.
    public func watching<Value>(_ body: () throws -> Value) throws -> (value: Value, hasDrawn: Bool) {
        let before = try state()
        let value = try body()
        let after = try state()
        return (value, before.withBytes { before in after.withBytes { !before.elementsEqual($0) } })
    }

    /// The state, [bytes] uint8, for `restore`.
    public func state() throws -> Tensor {
        let engine = try Engine.shared()
        var out: OpaquePointer?
        try engine.check(engine.table.pointee.generator_state(handle, &out))
        return Tensor(owning: try out.orMissing("generator state"))
    }

    /// Goes back to what ``state()`` gave: the same numbers follow as then.
    public func restore(_ state: Tensor) throws {
        let engine = try Engine.shared()
        try engine.check(engine.table.pointee.set_generator_state(handle, state.handle))
    }
}
