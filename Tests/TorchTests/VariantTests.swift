import Glibc
import TestSupport
import Testing
import Torch

/// The variants of the engine's kernels, each in a process of its own that lowers the choice.
@Suite struct VariantTests {
    private static let variants = ["baseline", "avx2", "avx512", "avx512_bf16", "amx"]

    @Test(arguments: variants) func `each variant is as exact as libtorch's operators`(variant: String) async {
        guard Processor.kernelsAtHand.contains(variant) else { return }
        await #expect(processExitsWith: .success) { [variant] in
            setenv(Processor.kernelsVariable, variant, 1)
            #expect(Processor.kernels == variant)
            #expect(Processor.isFastAtBFloat16 == ["avx512_bf16", "amx"].contains(variant))
            let checks = KernelTests()
            for dtype in [DType.float32, .bfloat16] {
                for layer in KernelTests.layers { try checks.checkLinear(layer, dtype) }
                // oneDNN's small products begin with AVX2; without them attention is libtorch's own, as its caller has it.
                for heads in KernelTests.heads where variant != "baseline" {
                    try checks.checkAttention(heads, dtype)
                    try checks.checkDropping(heads, dtype)
                }
                for image in KernelTests.images { try checks.checkDepthwise(image, dtype) }
                for positions in KernelTests.positions { try checks.checkResponseNorm(positions, dtype) }
                for shape in KernelTests.shapes { try checks.checkSiLU(shape, dtype) }
                for activations in KernelTests.activations { try checks.checkSqueezeExcitation(activations, dtype) }
            }
        }
    }

    /// What must not depend on the processor: draws, dropout, rounding at random, codes of quantised matrices.
    private static func exact() throws -> [[Double]] {
        let draws = Draws(seed: 11, update: 3, places: 0..<3)
        let x = try draws.normal(.noise, [1000])
        let rounded = try x.to(dtype: .bfloat16)
        try Draws(seed: 11, update: 3, places: 5..<6).round(x, into: rounded)
        let matrix = try draws.normal(.sampling, [256])
        let (rows, blocks) = (try Int8Rows(of: matrix), try NF4Blocks(of: matrix))
        return try [
            x.values(), draws.uniform(.noise, [77]).values(),
            draws.dropping(0.3, of: x, .network, position: 1).values(),
            rounded.to(dtype: .float32).values(), rows.expanded(0..<3, to: .float32).values(),
            blocks.expanded(0..<3, to: .float32).values(),
        ]
    }

    @Test(arguments: variants) func `draws and codes are the same bits in each variant`(variant: String) async throws {
        guard Processor.kernelsAtHand.contains(variant) else { return }
        let expected = try Self.exact()
        await #expect(processExitsWith: .success) { [variant, expected = expected as [[Double]]] in
            setenv(Processor.kernelsVariable, variant, 1)
            let drawn = try Self.exact()
            #expect(drawn == expected)
        }
    }

    @Test func `kernels that there are not, or that the processor has not, are refused`() async {
        await #expect(processExitsWith: .success) {
            setenv(Processor.kernelsVariable, "sse9", 1)
            let failure = try expectedFailure { _ = try Engine.shared() }
            #expect(failure.blame == .input && failure.what.contains(Processor.kernelsVariable), "\(failure)")
            #expect(failure.expected?.hasPrefix("baseline") == true && failure.got == "sse9", "\(failure)")
        }
        guard Processor.kernelsAtHand.last != "amx" else { return }
        await #expect(processExitsWith: .success) {
            setenv(Processor.kernelsVariable, "amx", 1)
            let failure = try expectedFailure { _ = try Engine.shared() }
            #expect(failure.what.contains("cannot run"), "\(failure)")
        }
    }

    @Test func `the variant that runs is the last that the processor has`() throws {
        let kernels = Processor.kernelsAtHand
        guard let flags = Self.processorFlags, let last = kernels.last else { return }
        #expect(kernels == Array(Self.variants.prefix(kernels.count)))
        let needed = [
            "avx2": ["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"],
            "avx512": ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
            "avx512_bf16": ["avx512_bf16"], "amx": ["amx_bf16", "amx_tile"],
        ]
        let expected = Self.variants.dropFirst().prefix { needed[$0]?.allSatisfy(flags.contains) == true }
        #expect(last == expected.last ?? "baseline")
        #expect(getenv(Processor.kernelsVariable) != nil || Processor.kernels == last)
    }

    /// Nil where the machine is of another kind.
    private static let processorFlags: Set<String>? = {
        guard let file = fopen("/proc/cpuinfo", "r") else { return nil }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 8192)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
            if text.hasPrefix("flags") { return Set(text.split { " \t\n".contains($0) }.map(String.init)) }
        }
        return nil
    }()
}
