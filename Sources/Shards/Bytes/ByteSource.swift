/// A shard's bytes, pulled in order. It belongs to one thread at a time.
protocol ByteSource: AnyObject {
    /// Reads the next bytes.
    /// - Returns: how many; 0 at the end.
    /// - Throws: a failure; `CancellationError` where nobody waits for the bytes any more.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws -> Int
}
