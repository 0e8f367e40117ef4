import Diffusion
import Failures
import Settings
import TestSupport
import Testing

/// Values that make no sense are refused where they stand, before anything is computed.
@Suite struct RefusalTests {
    private func read(_ text: String) throws {
        var fields = try Setting.parse(text, file: "arch.yaml").fields()
        var diffusion = try Diffusion(&fields)
        try diffusion.readTraining(&fields)
        try fields.finish()
    }

    @Test(arguments: [
        ("schedule: cosin", "cosine"), ("schedule: {nam: cosine}", "name"), ("schedule: {name: cosine, z: 1}", "\"s\""),
        ("schedule: {name: cosine, s: .inf}", "finite"), ("schedule: {name: cosine, s: .nan}", "number"),
        ("schedule: {name: cosine, s: -1}", "at least 0"), ("schedule: {name: cosine, shift: .inf}", "above 0"),
        ("schedule: {name: cosine, shift: 0}", "above 0"),
        ("schedule: {name: cosine, clamp_range: [0.9, 0.1]}", "ascending"),
        ("schedule: {name: cosine, clamp_range: [0.1]}", "two"),
        ("schedule: {name: cosine, clamp_range: [0, 2]}", "within"),
        ("schedule: {name: sqrt, s: 0.5, norm_instead: true}", "falls over t"),
        ("schedule: {name: linear, logsnr_range: [-.inf, 3]}", "ascending"),
        ("schedule: {name: linear, discrete_steps: 1}", "2"),
        ("schedule: {name: edm_sample, p: 0}", "above 0"), ("schedule: {name: edm_sample, p: 1.0e-4}", "falls over t"),
        ("schedule: {name: edm_sample, sigma_range: [80, 0.002]}", "ascending"),
        ("schedule: {name: edm_train, std: -1}", "at least 0"), ("schedule: {name: edm_train, mu: .inf}", "finite"),
        ("schedule: {name: adaptive_train, buckets: 0}", "1"),
        ("schedule: {name: adaptive_train, buckets: 4000000000000}", "1000000"),
        ("schedule: {name: piecewise_linear, x: [0, 1], y: [0.1, 0.9]}", "falling"),
        ("schedule: {name: piecewise_linear, x: [0, 0.5], y: [0.9, 0.1]}", "rising from 0 to 1"),
        ("schedule: {name: piecewise_linear, x: [], y: []}", "rising"),
        ("schedule: piecewise_linear", "\"schedule.x\""),
        ("schedule: {name: stable_diffusion, total_steps: 100000000000}", "1000000"),
        ("schedule: {name: stable_diffusion, linear_range: [0.5, 0.9]}", "falling"),
        ("schedule: {name: interpolated, scheduler1: cosine}", "scheduler2"),
        ("schedule: {name: interpolated, scheduler1: edm_train, scheduler2: cosine}", "takes times"),
        ("schedule: {name: interpolated, scheduler1: cosine, scheduler2: cosine, shifts: [1, .inf]}", "finite"),
        ("scaler: vpp", "\"vp\""), ("scaler: {name: vp, a: 1}", "unknown key"), ("target: eps", "epsilon"),
        ("noise_cond: {name: cosine, s: .inf}", "finite"), ("noise_cond: {name: edm_sigma, sigma_data: 0}", "above 0"),
        ("noise_cond: discrete", "noise_cond.noise_cond"),
        ("noise_cond: {name: discrete, noise_cond: cosine, continuous_range: [1, 1]}", "ascending"),
        ("loss_weight: {name: p2, gamma: .inf}", "finite"), ("loss_weight: {name: composed}", "mul"),
        ("loss_weight: {name: adaptive, buckets: 1}", "2"), ("loss_weight: {name: min_snr, max_snr: 0}", "above 0"),
        ("loss_weight: [p2]", "string"), ("loss_shift: 0", "above 0"), ("offset_noise: -1", "at least 0"),
        ("offset_noise: .inf", "finite"),
    ]) func `nonsense is refused at its place`(_ text: String, _ word: String) throws {
        let failure = try expectedFailure { try read(text) }
        #expect(failure.blame == .input && "\(failure) \(failure.advice ?? "")".contains(word), "\(failure)")
        #expect(failure.place?.description.hasPrefix("arch.yaml:1:") == true, "\(failure)")
    }
}
