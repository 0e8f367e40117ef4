import Diffusion
import Failures
import Settings

extension Diffusion {
    /// What a run trains the network to undo, as all recipes read it: the reference's `adaptive_loss_weight` and
    /// `offset_noise`, and ours, which name the parts: `schedule`, `scaler`, `target`, `noise_cond`, `loss_weight` and
    /// `loss_shift`. What is left out is what Stage C is trained with.
    init(ofTraining fields: inout Fields, warn: (String) -> Void) throws {
        try self.init(&fields)
        try readTraining(&fields)
        if try fields.value("adaptive_loss_weight", default: false) {
            guard try fields.optional("loss_weight", as: Setting.self) == nil else {
                throw Failure.input(
                    "`adaptive_loss_weight` and `loss_weight` are both given",
                    at: fields.setting["adaptive_loss_weight"]?.place, expected: "one of them")
            }
            lossWeight = .adaptive(try AdaptiveLossWeight())
        }
        // A shipped file of the reference has the key, and nothing of the reference reads it.
        if try fields.value("edm_objective", default: false) {
            warn("edm_objective changes nothing; `target: v` or `schedule: edm_train` say what is meant")
        }
    }
}
