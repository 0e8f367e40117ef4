import Cascade
import Failures
import Generation
import Settings

/// The network that a run trains or adapts.
public enum TrainedStage: String, CaseIterable, Sendable {
    /// Stage B, which is trained whole only; Stage C, which is trained whole or adapted.
    case b, c
    /// The key that names what makes its latents visible.
    var decoderKey: String { self == .b ? "stage_a_checkpoint_path" : "previewer_checkpoint_path" }

    /// Steps in which the reference's trainer of the stage samples its previews.
    var previewSteps: Int { self == .b ? 10 : 20 }

    /// The stage of a configuration's `model_version`.
    init(of setting: Setting) throws { try self.init(modelVersion: setting["model_version"]?.text ?? "") }

    /// - Throws: a failure of the input where a configuration of an adapter names Stage B.
    static func checkTakesAdapters(_ setting: Setting) throws {
        if try TrainedStage(of: setting) == .b { throw takesNoAdapters(setting["model_version"]) }
    }

    /// What is wrong with a `model_version` that is Stage B where adapters are trained.
    static func takesNoAdapters(_ modelVersion: Setting?) -> Failure {
        .input(
            "`model_version` is Stage B, which takes no adapters", at: modelVersion?.place,
            expected: "\(ModelSize.names(of: .stageC)) or an architecture file of Stage C", got: modelVersion?.text,
            advice: "`cascade-adapt finetune` trains Stage B whole")
    }

    /// Told as ``ModelPart`` tells it.
    init(modelVersion: String) throws { self = try ModelPart(modelVersion: modelVersion) == .stageB ? .b : .c }
}
