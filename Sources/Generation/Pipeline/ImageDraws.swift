import Failures
import Torch

/// All that is drawn for images: each image, purpose and step has its own numbers, whatever was drawn before and with
/// which other images a batch holds it.
struct ImageDraws {
    enum Purpose: UInt64 {
        case stageC = 11
        case stageB, filter
    }

    /// Of the images.
    let seeds: [UInt64]

    private func draws(_ purpose: Purpose) throws -> Draws {
        let rows = seeds.map { Draws(seed: $0, stream: purpose.rawValue, places: 0..<1) }
        guard let draws = Draws(joining: rows) else { throw Failure.run("there is no image to draw for") }
        return draws
    }

    /// What a stage begins with, [images] + shape.
    func start(_ purpose: Purpose, _ shape: [Int], device: Device) throws -> Tensor {
        try draws(purpose).normal(.noise, shape, device: device)
    }

    /// The fresh noise of a step, [images] + shape.
    func fresh(_ purpose: Purpose, step: Int, _ shape: [Int], device: Device) throws -> Tensor {
        try draws(purpose).normal(.sampling, shape, position: step, device: device)
    }

    /// For a filter that draws for the first image.
    func generator() throws -> Generator {
        try Generator(seed: seeds.first ?? 0, stream: Purpose.filter.rawValue, update: 0)
    }
}
