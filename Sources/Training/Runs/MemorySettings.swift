import Layers
import Optimization
import Settings

/// What saves a run memory and leaves what it learns as it is, but for the numbers that its base is kept in.
struct MemorySettings: Equatable {
    var isCheckpointing: Bool
    /// In how many parts a batch is taken.
    var parts: Int
    /// nil keeps the base as `dtype` says.
    var base: BaseDType?
}

/// `grad_accum_steps`: in how many parts a batch is taken, or auto, which goes by the memory that is free.
enum Accumulation: Equatable, SettingReadable {
    case auto
    case parts(Int)

    /// nil of auto.
    var count: Int? { if case .parts(let count) = self { count } else { nil } }

    static var expectation: String { "auto, or a whole number that is at least 1" }

    static func read(_ setting: Setting) throws -> Self {
        if setting.text == "auto" { return .auto }
        guard let count = try? Int.read(setting), count >= 1 else { throw setting.refusal(expected: expectation) }
        return .parts(count)
    }
}

/// `base_dtype` of a run: what a frozen base is kept in, or auto, which goes by the memory that is free.
enum BaseChoice: Equatable, SettingReadable {
    case auto
    case kept(BaseDType)

    /// nil of auto.
    var dtype: BaseDType? { if case .kept(let dtype) = self { dtype } else { nil } }

    static var expectation: String { "auto, \(BaseDType.expectation)" }

    static func read(_ setting: Setting) throws -> Self {
        if setting.text == "auto" { return .auto }
        do { return .kept(try BaseDType.read(setting)) } catch {
            throw setting.refusal(expected: expectation)
        }
    }
}

/// A change of a configuration that saves memory.
enum MemorySaving {
    case parts(Int)
    case checkpointing
    case noPreviews
    /// The frozen networks in bfloat16.
    case halfBase
    case base(BaseDType)
    case optimizer(OptimizerChoice)
    /// The trained weights in bfloat16.
    case halfWeights
    /// Steps within the backward pass, with a batch of so many samples.
    case fusedSteps(batch: Int)

    /// As a configuration has it.
    var keys: [(key: String, value: String)] {
        switch self {
        case .parts(let parts): [("grad_accum_steps", "\(parts)")]
        case .checkpointing: [("gradient_checkpointing", "true")]
        case .noPreviews: [("preview_steps", "0")]
        case .halfBase: [("dtype", "bfloat16")]
        case .base(let dtype):
            [("base_dtype", dtype.rawValue)]
        case .optimizer(let choice): [("optimizer", choice.name)]
        case .halfWeights: [("weights_dtype", "bfloat16")]
        case .fusedSteps(let batch):
            [("fused_backward", "true"), ("grad_accum_steps", "1"), ("batch_size", "\(batch)")]
        }
    }
}
