import CTorch
import Failures

/// An array of numbers in libtorch's hands, freed when the last reference goes.
///
/// Not `Sendable`: hand tensors to another thread as plain data or with `sending`.
public final class Tensor {
    /// Owned.
    let handle: OpaquePointer

    init(owning handle: OpaquePointer) { self.handle = handle }

    deinit { engineTable.pointee.release(handle) }

    // MARK: Making tensors

    /// A copy of `values` in the given shape.
    public convenience init<Element: TensorElement>(_ values: [Element], shape: [Int]) throws {
        let expected = try Self.elements(of: shape)
        guard values.count == expected else {
            throw Failure.run("a tensor of shape \(shape)", expected: "\(expected) values", got: "\(values.count)")
        }
        try self.init(bytes: values.withUnsafeBytes { UnsafeRawBufferPointer($0) }, shape: shape, dtype: Element.dtype)
        withExtendedLifetime(values) {}
    }

    /// A copy of `values` in one dimension.
    public convenience init<Element: TensorElement>(_ values: [Element]) throws {
        try self.init(values, shape: [values.count])
    }

    /// A copy of raw bytes of the machine's byte order.
    public convenience init(bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType) throws {
        let engine = try Engine.shared()
        let expected = try Self.elements(of: shape).multipliedReportingOverflow(by: dtype.size)
        guard !expected.overflow, bytes.count == expected.partialValue else {
            throw Failure.run(
                "a tensor of shape \(shape)", expected: "\(expected.partialValue) bytes", got: "\(bytes.count)")
        }
        var out: OpaquePointer?
        let sizes = shape.map(Int64.init)
        try engine.check(
            engine.table.pointee.copy_in(bytes.baseAddress, sizes, Int32(sizes.count), dtype.rawValue, &out))
        self.init(owning: try out.orMissing("copy"))
    }

    /// A view of memory of the owner's, which is kept alive as long as any view of the tensor is.
    ///
    /// The memory must be aligned for `dtype` and must not be written through this tensor where it is read-only.
    public convenience init(
        borrowing bytes: UnsafeRawBufferPointer, shape: [Int], dtype: DType, owner: AnyObject
    ) throws {
        let engine = try Engine.shared()
        precondition(bytes.count == shape.reduce(1, *) * dtype.size)
        var out: OpaquePointer?
        let sizes = shape.map(Int64.init)
        let context = Unmanaged.passRetained(owner)
        let status = engine.table.pointee.borrow(
            UnsafeMutableRawPointer(mutating: bytes.baseAddress), sizes, Int32(sizes.count), dtype.rawValue,
            { if let owner = $0 { Unmanaged<AnyObject>.fromOpaque(owner).release() } }, context.toOpaque(), &out)
        if status != 0 { context.release() }
        try engine.check(status)
        self.init(owning: try out.orMissing("borrow"))
    }

    /// - Throws: where a size is negative or the elements cannot be counted.
    private static func elements(of shape: [Int]) throws -> Int {
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { throw Failure.run("no tensor can have the shape \(shape)") }
            count = product
        }
        return count
    }

    // MARK: What it is

    var facts: CTorchDescription {
        var facts = CTorchDescription()
        _ = engineTable.pointee.describe(handle, &facts)
        return facts
    }

    /// The sizes of the dimensions, outermost first; empty for a single number.
    public var shape: [Int] {
        let facts = facts
        return (0..<Int(facts.rank)).map { Int(facts.sizes[$0]) }
    }

    /// The shape of what one sample of a batch has: all but the first dimension.
    public var sampleShape: [Int] { Array(shape.dropFirst()) }

    /// Sizes from the front, or from the back where `index` is negative.
    public func size(_ index: Int) -> Int {
        let facts = facts
        let at = index < 0 ? index + Int(facts.rank) : index
        precondition(at >= 0 && at < Int(facts.rank))
        return Int(facts.sizes[at])
    }

    /// How many dimensions there are; 0 for a single number.
    public var rank: Int { Int(facts.rank) }
    /// All elements: the product of the sizes.
    public var count: Int { Int(facts.elements) }
    /// What the elements take in memory where no two of them share it.
    public var byteCount: Int { count * Int(facts.element_size) }
    /// The type of an element. One that ``DType`` lacks counts as float32.
    public var dtype: DType { DType(rawValue: facts.dtype) ?? .float32 }
    /// Where the elements are in memory.
    public var device: Device { Device(raw: facts.device) }
    /// Whether the elements follow one another in memory, the last dimension first, without gaps.
    public var isContiguous: Bool { facts.is_contiguous }
    /// Whether all elements are one and the same in memory.
    public var isOneElementSpread: Bool {
        count > 1 && (0..<rank).allSatisfy { facts.strides[$0] == 0 || size($0) == 1 }
    }

    // MARK: Reading back

    /// The values as a Swift array, converted to `Element`'s type and copied to the CPU where need be.
    public func values<Element: TensorElement>(as: Element.Type = Element.self) throws -> [Element] {
        let plain = try detached().to(dtype: Element.dtype).to(device: .cpu).contiguous()
        return plain.withBytes { bytes in Array(bytes.bindMemory(to: Element.self)) }
    }

    /// The one value of a tensor with one element.
    public func item() throws -> Double {
        guard let value = try values(as: Double.self).first, count == 1 else {
            throw Failure.run("a single value", expected: "1 element", got: "shape \(shape)")
        }
        return value
    }

    /// Runs `body` on the bytes of a contiguous tensor on the CPU.
    public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        precondition(isContiguous && device == .cpu)
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeRawBufferPointer(start: engineTable.pointee.data(handle), count: byteCount))
    }

    /// Runs `body` on the bytes of a contiguous tensor on the CPU, to write them.
    public func withMutableBytes<Result>(_ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows -> Result {
        precondition(isContiguous && device == .cpu)
        defer { withExtendedLifetime(self) {} }
        return try body(UnsafeMutableRawBufferPointer(start: engineTable.pointee.data(handle), count: byteCount))
    }
}

extension Tensor: CustomStringConvertible {
    /// Shape, type and device; no elements.
    public var description: String { "Tensor(\(shape), \(dtype), \(device))" }
}

extension Optional where Wrapped == OpaquePointer {
    /// A handle that a successful call of the door must have written.
    func orMissing(_ operation: String) throws -> OpaquePointer {
        guard let self else { throw Failure.run("\(operation): libtorch returned nothing") }
        return self
    }
}
