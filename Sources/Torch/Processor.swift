/// What the processor is fast at.
public enum Processor {
    /// Whether the kernels that run have instructions for products of bfloat16 matrices: AVX512-BF16 or AMX. Elsewhere they are
    /// emulated, far slower than float32.
    public static let isFastAtBFloat16: Bool = {
        guard let engine = try? Engine.shared() else { return false }
        return engine.table.pointee.fast_bfloat16() != 0
    }()

    /// The environment variable that names the kernels to run in place of the last that the processor has.
    public static let kernelsVariable = "CASCADE_ADAPT_KERNELS"

    /// Which variant of the engine's kernels runs: "baseline", "avx2", "avx512", "avx512_bf16" or "amx". Nil without an
    /// engine.
    public static var kernels: String? {
        (try? Engine.shared())?.table.pointee.kernels().map { String(cString: $0) }
    }

    /// The variants that this processor can run, each with all that those before it have; empty without an engine.
    public static var kernelsAtHand: [String] {
        guard let engine = try? Engine.shared(), let names = engine.table.pointee.kernels_at_hand() else { return [] }
        return String(cString: names).split(separator: ",").map { String($0.drop { $0 == " " }) }
    }
}
