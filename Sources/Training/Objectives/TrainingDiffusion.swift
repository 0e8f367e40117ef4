import Diffusion
import Failures
import Generation
import Settings

/// What a run trains the network to undo, and how far from it costs what, as all recipes read it.
///
/// The reference's keys: `adaptive_loss_weight`, `offset_noise`, `edm_objective`, and Stage B's `shift`. Ours name the
/// parts: `schedule`, `scaler`, `target`, `noise_cond`, `loss_weight`, `loss_shift`, `loss`, `pyramid_noise`. What is
/// left out is what the stage is trained with.
struct TrainingDiffusion {
    var process: Diffusion
    let lossFunction: LossFunction
    /// What the run says of a key that does not do what its name promises.
    private(set) var remark: String?

    /// - Parameters:
    ///   - base: the file of the network that is begun from; nil where a new one is drawn.
    ///   - isFrozen: whether that network is adapted and stays what it is.
    init(_ fields: inout Fields, _ stage: TrainedStage, base: String?, isFrozen: Bool) throws {
        process = try Diffusion(&fields)
        try process.readTraining(&fields)
        let trained = base.flatMap(ModelFiles.target)
        lossFunction = try fields.value("loss", written: "mse")
        if try fields.value("pyramid_noise", default: stage == .b) { process.pyramidNoise = PyramidNoise() }
        try readAdaptiveWeight(&fields)
        try readObjective(&fields)
        if let trained { try follow(trained, &fields, isFrozen: isFrozen) }
        if stage == .b { try readShift(&fields) }
    }

    /// A network goes on with the target that it was trained for; one that is adapted can have no other.
    private mutating func follow(_ trained: Target, _ fields: inout Fields, isFrozen: Bool) throws {
        let written: Setting? = try fields.optional("target")
        if written == nil, process.target == .epsilon {
            process.target = trained
            fields.settle("target", .string(trained.rawValue))
        }
        guard process.target != trained, isFrozen else { return }
        throw Failure.input(
            "`target` is not what the base was trained to predict", at: written?.place ?? fields.setting.place,
            expected: trained.rawValue, got: process.target.rawValue,
            advice: "leave `target` out: the file of the base says it")
    }

    private mutating func readAdaptiveWeight(_ fields: inout Fields) throws {
        guard try fields.value("adaptive_loss_weight", default: false) else { return }
        guard try fields.optional("loss_weight", as: Setting.self) == nil else {
            throw Failure.input(
                "`adaptive_loss_weight` and `loss_weight` are both given",
                at: fields.setting["adaptive_loss_weight"]?.place, expected: "one of them")
        }
        process.lossWeight = .adaptive(try AdaptiveLossWeight())
    }

    /// `edm_objective` stands in a file of the reference whose name ends in `_v`, and nothing of the reference reads it.
    /// Here it is the v target, which the file's name speaks of.
    private mutating func readObjective(_ fields: inout Fields) throws {
        guard try fields.value("edm_objective", default: false) else { return }
        let written: Setting? = try fields.optional("target")
        guard written == nil || process.target == .v else {
            throw Failure.input(
                "`edm_objective` and `target` ask for different things",
                at: fields.setting["edm_objective"]?.place, expected: "one of them, or the target v",
                got: "\(process.target.rawValue)")
        }
        process.target = .v
        fields.settle("target", .string(process.target.rawValue))
    }

    /// The reference's Stage B files set `shift`, and its trainer noises without one. Numbers are the same here, and
    /// the run says how to have what the key promises.
    private mutating func readShift(_ fields: inout Fields) throws {
        let shift = try fields.value("shift", default: 1, .positive)
        guard shift != 1 else { return }
        remark =
            "shift \(shift) changes nothing, as in the reference; "
            + "`schedule: {name: cosine, clamp_range: [0.0001, 0.9999], shift: \(shift)}` trains with more noise"
    }
}
