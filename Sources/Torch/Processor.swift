/// What the processor is fast at.
public enum Processor {
    /// Whether products of bfloat16 matrices run in hardware: AVX-512 BF16 or AMX. Elsewhere they are emulated, far
    /// slower than float32.
    public static let isFastAtBFloat16: Bool = {
        guard let engine = try? Engine.shared() else { return false }
        return engine.table.pointee.fast_bfloat16() != 0
    }()
}
