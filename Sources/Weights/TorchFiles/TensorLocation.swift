/// Where the elements of a tensor lie in a file, checked against the bytes of its storage.
struct TensorLocation {
    /// From the first element to behind the last, in bytes from the start of the file.
    let range: Range<Int>
    let isContiguous: Bool
    private let shape: [Int]
    private let strides: [Int]
    private let elementSize: Int

    /// A tensor that repeats elements may come to this many bytes, whatever its storage holds.
    private static let repeatLimit = 1 << 24

    /// - Parameter storage: the storage's bytes, from the start of the file.
    /// - Returns: nil where the tensor reaches outside of its storage, or cannot be counted.
    init?(_ tensor: PickleTensor, in storage: Range<Int>) {
        (shape, strides, elementSize) = (tensor.shape, tensor.strides, tensor.dtype.size)
        guard let bytes = TensorEntry.byteCount(shape, tensor.dtype), tensor.offset >= 0,
            strides.allSatisfy({ $0 >= 0 }), bytes <= max(storage.count, Self.repeatLimit)
        else { return nil }
        var (last, expected, inOrder) = (tensor.offset, 1, true)
        for (size, stride) in zip(shape, strides).reversed() {
            let (step, overflow) = max(size - 1, 0).multipliedReportingOverflow(by: stride)
            let (sum, overflow2) = last.addingReportingOverflow(step)
            guard !overflow, !overflow2 else { return nil }
            last = sum
            if size != 1 && stride != expected { inOrder = false }
            // No overflow: a shape without zeros was counted above, one with zeros is empty.
            expected &*= max(size, 1)
        }
        let isEmpty = shape.contains(0)
        isContiguous = inOrder || isEmpty
        let available = storage.count / elementSize
        guard isEmpty ? tensor.offset <= available : last < available else { return nil }
        let start = storage.lowerBound + tensor.offset * elementSize
        range = start..<(isEmpty ? start : storage.lowerBound + (last + 1) * elementSize)
    }

    /// The elements in the order of the shape, from the bytes of `range`.
    func gathered(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let inner = shape.last ?? 1
        let innerStride = (strides.last ?? 1) * elementSize
        let outer = shape.dropLast()
        var index = [Int](repeating: 0, count: outer.count)
        let count = outer.reduce(1, *)
        return [UInt8](unsafeUninitializedCapacity: count * inner * elementSize) { target, written in
            for _ in 0..<count {
                var from = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 } * elementSize
                for _ in 0..<inner {
                    for byte in 0..<elementSize { target[written + byte] = bytes[from + byte] }
                    written += elementSize
                    from += innerStride
                }
                var dimension = outer.count - 1
                while dimension >= 0 {
                    index[dimension] += 1
                    if index[dimension] < outer[dimension] { break }
                    index[dimension] = 0
                    dimension -= 1
                }
            }
        }
    }
}
