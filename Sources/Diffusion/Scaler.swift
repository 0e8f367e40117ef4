import Torch

/// Scales of signal and noise at a log SNR.
///
/// Source: the reference's `gdf/scalers.py`.
public enum Scaler: String, CaseIterable, Sendable {
    /// Their squares sum to one: variance-preserving.
    case variancePreserving = "vp"
    /// They sum to one, as rectified flows mix.
    case interpolating = "lerp"

    /// Scales [B] at log SNR [B].
    public func callAsFunction(_ logSNR: Tensor) throws -> Scales {
        switch self {
        case .variancePreserving:
            let variance = try logSNR.sigmoid()
            return Scales(signal: try variance.sqrt(), noise: try (1 - variance).sqrt())
        case .interpolating:
            let signal = try interpolationSignal(logSNR)
            return Scales(signal: signal, noise: try 1 - signal)
        }
    }
}

/// What signal and noise are multiplied by, [B] each.
public struct Scales {
    /// The factor of the data.
    public let signal: Tensor
    /// The factor of the normal noise.
    public let noise: Tensor

    /// Those of latents without noise, as `perSample` has them.
    static func clean(on device: Device) throws -> Scales {
        Scales(signal: try .full([1, 1, 1, 1], 1, device: device), noise: try .zeros([1, 1, 1, 1], device: device))
    }

    /// Those of one sample, [1] each.
    public func sample(_ index: Int) throws -> Scales {
        let range = index..<index + 1
        return Scales(signal: try signal.sliced(0, range), noise: try noise.sliced(0, range))
    }

    /// The same on a device.
    public func to(device: Device) throws -> Scales {
        Scales(signal: try signal.to(device: device), noise: try noise.to(device: device))
    }

    /// The same as [B, 1, 1, 1], to multiply latents with.
    public var perSample: Scales {
        get throws { Scales(signal: try signal.reshaped([-1, 1, 1, 1]), noise: try noise.reshaped([-1, 1, 1, 1])) }
    }
}

/// The share of the signal where signal and noise sum to one: s / (1 + s) at s² = SNR.
///
/// The formula and its order are the reference's, and so is the value at log SNR 0, where it would divide by zero.
func interpolationSignal(_ logSNR: Tensor) throws -> Tensor {
    // Past 80 the share is 1 in float32, and the exponential soon infinite.
    let excess = try logSNR.clamped(max: 80).exp() - 1
    let apart = try excess.equals(0).choose(.full(excess.shape, 1e-3, device: excess.device), excess)
    return try 1 + (2 - (4 + 4 * apart).pow(0.5)) / (2 * apart)
}
