@testable import Diffusion
import Settings
import TestSupport
import Testing
import Torch

/// What training asks beside the process: the distance of a prediction, and Stage B's noise.
@Suite struct TrainingNoiseTests {
    @Test func `Huber's loss is torch's`() throws {
        let prediction = try Tensor([0.2, -1.5, 3, 0.5, 0, -0.1, 7, -2] as [Float], shape: [2, 1, 2, 2])
        let target = try Tensor([0, 0.25, -1, 0.5, 0.4, -0.9, 6, 2] as [Float], shape: [2, 1, 2, 2])
        // torch 2.15.0: huber_loss(prediction, target, reduction="none", delta=delta).mean(dim=(1, 2, 3))
        for (delta, expected) in [
            (1.0, [1.1925, 1.10000002] as [Float]), (0.1, [0.14500001, 0.15000001] as [Float]),
            (10.0, [2.38781261, 2.2249999] as [Float]),
        ] {
            let losses = try LossFunction.huber(delta: delta)(prediction, target).values(as: Float.self)
            for (ours, theirs) in zip(losses, expected) { #expect(abs(ours - theirs) < 1e-6, "\(delta)") }
        }
    }

    @Test func `pyramid noise keeps variance 1 and has each side's own sizes`() throws {
        let noise = PyramidNoise()
        let sizes = noise.additions(height: 32, width: 24).map { [$0.height, $0.width] }
        #expect(sizes == [[16, 12], [8, 6], [4, 3], [2, 1]])
        #expect(noise.additions(height: 256, width: 256).map(\.height) == [16, 8, 4, 2, 1])
        #expect(noise.additions(height: 1, width: 9).isEmpty)
        let draws = Draws(seed: 4, places: 0..<64)
        let epsilon = try draws.normal(.noise, [4, 32, 24])
        let mixed = try noise(epsilon, noise.draw(for: epsilon, from: draws))
        let neighbours = try (mixed.sliced(3, 0..<23) * mixed.sliced(3, 1..<24)).mean().item()
        #expect(try abs(mixed.squared().mean().item() - 1) < 0.05)
        // Half of the variance is coarse, so that neighbours are alike.
        #expect(neighbours > 0.3)
        #expect(try abs((epsilon.sliced(3, 0..<23) * epsilon.sliced(3, 1..<24)).mean().item()) < 0.02)
    }
}
