import Settings
import Torch

/// A number type by its name in a configuration: what weights are kept in.
enum Precision: String, CaseIterable, SettingReadable {
    case float32, bfloat16

    var dtype: DType { self == .float32 ? .float32 : .bfloat16 }

    static func read(_ setting: Setting) throws -> Self {
        try refuseFloat16(setting, expected: expectation)
        guard let value = setting.text.flatMap(Self.init(rawValue:)) else {
            throw setting.refusal(expected: expectation)
        }
        return value
    }

    /// - Throws: a failure of the input that says why, where the setting is float16.
    fileprivate static func refuseFloat16(_ setting: Setting, expected: String) throws {
        guard let text = setting.text, ["float16", "fp16", "half"].contains(text) else { return }
        throw setting.refusal(
            expected: expected,
            advice:
                "float16 ends at 65504, and Stable Cascade's activations do not: published runs in it gave NaN and black "
                + "images. bfloat16 takes as little and has float32's range.")
    }
}

/// `compute_dtype`: what products are computed in. Norms, sums and the loss are float32 in any case.
enum ComputePrecision: String, CaseIterable, SettingReadable {
    /// bfloat16 where the device has instructions for it.
    case auto
    case float32, bfloat16

    /// What it comes to on a device.
    func dtype(on device: Device) -> DType {
        switch self {
        case .auto: device.isFastAtBFloat16 ? .bfloat16 : .float32
        case .float32: .float32
        case .bfloat16: .bfloat16
        }
    }

    static func read(_ setting: Setting) throws -> Self {
        try Precision.refuseFloat16(setting, expected: expectation)
        guard let value = setting.text.flatMap(Self.init(rawValue:)) else {
            throw setting.refusal(expected: expectation)
        }
        return value
    }
}

/// `gradient_checkpointing`: true, false, or auto, which goes by the memory that is free.
enum Checkpointing: String, SettingReadable {
    case auto, on, off

    static var expectation: String { "auto, true or false" }

    static func read(_ setting: Setting) throws -> Self {
        if setting.text == Self.auto.rawValue { return .auto }
        guard let value = try? Bool.read(setting) else { throw setting.refusal(expected: expectation) }
        return value ? .on : .off
    }
}
