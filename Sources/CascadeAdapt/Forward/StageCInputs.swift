import Cascade
import Failures
import Torch

/// Stage C's conditions among the inputs of `forward`, under their names behind a prefix.
struct StageCInputs {
    private let configuration: StageCConfiguration
    private let prefix: String
    private let injected: [Int]
    /// Whether none of them is there.
    let areMissing: Bool

    init(_ configuration: StageCConfiguration, _ inputs: ForwardInputs, prefix: String = "") {
        self.configuration = configuration
        self.prefix = prefix
        injected = inputs.indices(of: "\(prefix)cnet")
        areMissing = !inputs.names.contains { $0.hasPrefix(prefix) }
    }

    /// What is read of the inputs.
    /// - Parameter length: the letter for the number of text tokens.
    /// - Throws: where a condition is for a residual block that is not there.
    func wanted(isOptional: Bool = false, length: Character = "T") throws -> [ForwardInputs.Wanted] {
        let c = configuration
        let count = c.injectionPoints
        if let past = injected.first(where: { !(0..<count).contains($0) }) {
            throw Failure.input(
                "`\(prefix)cnet.\(past)` is for a residual block that is not there",
                expected: "cnet.0 to cnet.\(count - 1)", got: "cnet.\(past)")
        }
        let embeddings: [(String, [ForwardInputs.Size])] = [
            ("clip_text", ["B", .letter(length), .exactly(c.clipTextWidth)]),
            ("clip_text_pooled", ["B", 1, .exactly(c.clipTextPooledWidth)]),
            ("clip_img", ["B", 1, .exactly(c.clipImageWidth)]),
        ]
        return embeddings.map { .init(name: prefix + $0.0, shape: $0.1, isOptional: isOptional) }
            + c.timeConditions.map { .init(name: prefix + $0, shape: ["B"], isOptional: true) }
            // Channels differ between levels, and each condition has a size of its own.
            + injected.map { .init(name: "\(prefix)cnet.\($0)", shape: ["B", .any, .any, .any]) }
    }

    /// The conditions, in the dtype that the network computes in.
    func read(_ inputs: [String: Tensor], dtype: DType) throws -> StageC.Conditions {
        func input(_ name: String) throws -> Tensor { try inputs.required(prefix + name).to(dtype: dtype) }
        var conditions = StageC.Conditions(
            clipText: try input("clip_text"), clipTextPooled: try input("clip_text_pooled"),
            clipImage: try input("clip_img"))
        for name in configuration.timeConditions { conditions.times[name] = inputs[prefix + name] }
        for index in injected { conditions.injections[index] = try input("cnet.\(index)") }
        return conditions
    }
}
