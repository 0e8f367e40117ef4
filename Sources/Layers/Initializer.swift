import Torch

/// How a parameter starts where no file gives it.
public enum Initializer: Sendable {
    /// Zeros: biases, and weights of what adds nothing at first.
    case zeros
    /// Ones: scales of norms.
    case ones
    /// Normal with mean 0.
    case normal(deviation: Double)
    /// Uniform within ±bound.
    case uniform(_ bound: Double)
    /// Uniform within ±gain·√(6 / (in + out)) (Glorot and Bengio 2010).
    case xavierUniform(gain: Double = 1)
    /// Uniform within ±√(1 / in), PyTorch's default for linear and convolution layers.
    case torchUniform
    /// Normal with deviation √(2 / out), fan-out counted over the kernel, as torchvision starts EfficientNet.
    case kaimingNormalFanOut

    /// A float32 tensor on the CPU.
    public func draw(_ shape: [Int], from generator: Generator) throws -> Tensor {
        let kernel = shape.dropFirst(2).reduce(1, *)
        let fanIn = (shape.count > 1 ? shape[1] : shape.first ?? 1) * kernel
        let fanOut = (shape.first ?? 1) * kernel
        func uniform(_ bound: Double) throws -> Tensor { try (generator.uniform(shape) - 0.5) * (2 * bound) }
        switch self {
        case .zeros: return try .zeros(shape)
        case .ones: return try .full(shape, 1)
        case .normal(let deviation): return try generator.normal(shape) * deviation
        case .uniform(let bound): return try uniform(bound)
        case .xavierUniform(let gain): return try uniform(gain * (6 / Double(max(1, fanIn + fanOut))).squareRoot())
        case .torchUniform: return try uniform((1 / Double(max(1, fanIn))).squareRoot())
        case .kaimingNormalFanOut: return try generator.normal(shape) * (2 / Double(max(1, fanOut))).squareRoot()
        }
    }
}
