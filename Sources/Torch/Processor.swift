/// What the processor is fast at.
public enum Processor {
    /// Whether products of bfloat16 matrices run in hardware: AVX-512 BF16 or AMX. Elsewhere they are emulated, far
    /// slower than float32.
    public static let isFastAtBFloat16: Bool = {
        guard let engine = try? Engine.shared() else { return false }
        return engine.table.pointee.fast_bfloat16() != 0
    }()

    /// Which clones of the engine's kernels run, by the features that they need: "x86-64-v4" has AVX-512, "x86-64-v3"
    /// AVX2 with FMA, "default" neither. Nil without an engine.
    public static var kernels: String? {
        (try? Engine.shared())?.table.pointee.kernels().map { String(cString: $0) }
    }
}
