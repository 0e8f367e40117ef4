import Settings
import Torch

/// Makes latents of noise, step by step, with the network that predicts what a process asks of it; as it is made, the
/// way the reference previews the training of Stage C.
///
/// Source: the reference's `GDF.sample` in `gdf/__init__.py`.
public struct Sampler {
    /// How latents go from one noise level to the next.
    public var step = SamplingStep.ddpm
    /// How many steps, of even length in time.
    public var steps = 20
    /// The times of the first step, and of the level that the last would go to.
    public var times = (start: 1.0, end: 0.0)
    /// Nil samples without guidance.
    public var guidance: Guidance?
    /// Schedule, scaler, target and noise condition; its schedule must take times.
    public var process: Diffusion
    /// Of the call, beside the schedule's own.
    public var shift = 1.0

    /// Twenty ancestral steps from t = 1 to t = 0, which may be set otherwise afterwards.
    public init(_ process: Diffusion, guidance: Guidance? = Guidance(strength: 5)) {
        self.process = process
        self.guidance = guidance
    }

    /// Draws latents.
    /// - Parameters:
    ///   - start: noise, [B, C, h, w], float32.
    ///   - fresh: normal noise [B, C, h, w] for a step, counted from 0, for samplers that add it.
    ///   - predict: as below.
    /// - Returns: the last step's prediction of the latents without noise, [B, C, h, w], float32.
    public func callAsFunction(
        from start: Tensor, fresh: (_ step: Int) throws -> Tensor,
        predict: (_ latents: Tensor, _ noiseCondition: Tensor, _ isGuided: Bool) throws -> Predictions
    ) throws -> Tensor {
        try withoutActuallyEscaping(fresh) { try self(from: start, Walk(fresh: $0), predict: predict) }
    }

    /// What a network predicts of latents, [B, C, h, w] each.
    public struct Predictions {
        /// By its condition.
        public var conditioned: Tensor
        /// By what guidance leads away from; nil where there is no guidance.
        public var free: Tensor?

        /// - Parameter free: nil where the step is not guided.
        public init(_ conditioned: Tensor, free: Tensor?) { (self.conditioned, self.free) = (conditioned, free) }
    }

    /// What goes on beside the steps of one sampling.
    public struct Walk {
        /// Standard normal numbers for a step, in the shape and on the device of the latents; asked once a step at most.
        public var fresh: (_ step: Int) throws -> Tensor
        /// Called before a step's predictions.
        public var begin: (_ step: Int) throws -> Void = { _ in }
        /// What becomes of the latents that a step made, and of the last estimate: latents [B, C, h, w] with their scales
        /// of signal and noise.
        public var settle: (_ latents: Tensor, _ scales: Scales) throws -> Tensor = { latents, _ in latents }

        /// With nothing to do before or after a step, which may be set afterwards.
        public init(fresh: @escaping (_ step: Int) throws -> Tensor) { self.fresh = fresh }
    }

    /// Draws latents.
    /// - Parameters:
    ///   - start: the latents of the first step, [B, C, h, w], float32.
    ///   - predict: the network's predictions for latents and noise conditions [B]; where the step is guided both.
    /// - Returns: the last step's prediction of the latents without noise, [B, C, h, w], float32.
    public func callAsFunction(
        from start: Tensor, _ walk: Walk,
        predict: (_ latents: Tensor, _ noiseCondition: Tensor, _ isGuided: Bool) throws -> Predictions
    ) throws -> Tensor {
        try withoutGradients {
            let range = try Tensor.spaced(from: times.start, to: times.end, count: steps + 1)
            let logSNR = try process.schedule.logSNR(.time(range), callShift: shift)  // [steps + 1]
            let conditions = try process.noiseCondition(logSNR).to(device: start.device)
            let scales = try process.scaler(logSNR).to(device: start.device)
            let times = try range.values(as: Double.self)
            var (latents, estimate) = (start, start)
            for step in 0..<steps {
                try walk.begin(step)
                let told = try conditions.selected(0, step).expanded([start.size(0)])
                let guidance = guidance.flatMap { $0.isOn(at: times[step]) ? $0 : nil }
                let predicted = try predict(latents, told, guidance != nil)
                var prediction = try predicted.conditioned.to(dtype: .float32)
                if let guidance, let free = predicted.free {
                    prediction = try guidance(prediction, free.to(dtype: .float32), at: times[step])
                }
                let (now, next) = try (scales.sample(step), scales.sample(step + 1))
                let parts = try process.estimate(latents, prediction, now)
                estimate = parts.x0
                guard step + 1 < steps else { break }
                let stepped = try self.step(parts, from: now.perSample, to: next.perSample) { try walk.fresh(step) }
                latents = try walk.settle(stepped, next.perSample)
            }
            return try walk.settle(estimate, .clean(on: start.device))
        }
    }
}

extension Sampler {
    /// Reads the process (`schedule`, `scaler`, `target`, `noise_cond`) and `sampler`, `timesteps`, `t_start`, `t_end`,
    /// `shift`, `cfg` and what belongs to it, each with the default of the reference's `GDF.sample`.
    public init(_ fields: inout Fields) throws {
        try self.init(Diffusion(&fields), guidance: Guidance.read(&fields))
        guard process.schedule.takesTimes else {
            throw (fields.setting["schedule"] ?? fields.setting).refusal(
                expected: "a schedule that takes times", advice: "This one only draws noise levels to train with.")
        }
        step = try fields.value("sampler", default: step)
        steps = try fields.value("timesteps", default: steps, .within(1...100_000))
        times.start = try fields.value("t_start", default: times.start, .within(0...1))
        times.end = try fields.value("t_end", default: times.end, .within(0...1))
        shift = try fields.value("shift", default: shift, .positive)
    }
}
