import Torch

/// All that is drawn for one image: each purpose and step has its own numbers, whatever was drawn before and with which
/// other images a batch holds it.
struct ImageDraws {
    enum Purpose: UInt64 {
        case stageC = 11
        case stageB, filter
    }

    let seed: UInt64

    func generator(_ purpose: Purpose, step: Int = 0) throws -> Generator {
        try Generator(seed: seed, stream: purpose.rawValue, update: step)
    }

    /// Standard normal numbers: what a stage begins with at step 0, the fresh noise of step i at i + 1.
    func normal(_ purpose: Purpose, step: Int, _ shape: [Int]) throws -> Tensor {
        try generator(purpose, step: step).normal(shape)
    }
}
