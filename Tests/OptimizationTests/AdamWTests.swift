import Failures
import Optimization
import TestSupport
import Testing
import Torch

/// Five updates with clipped gradients, held to `torch.optim.AdamW`.
@Suite struct AdamWTests {
    private let golden: Golden
    private let device: Device

    init() throws {
        golden = try Golden("adamw")
        device = try testDevice()
    }

    private func tensor(_ key: String) throws -> Tensor {
        let tensor = try #require(golden.tensors[key], "\(key)")
        return try Tensor(tensor.floats, shape: tensor.shape).to(device: device)
    }

    /// The golden's two parameters in two groups, as they were before update `update`.
    private func start(_ update: Int = 0) throws -> (parameters: [Tensor], optimizer: AdamW) {
        let parameters = try ["weight", "bias"].map { try tensor(update == 0 ? "start.\($0)" : "\(update).\($0)") }
        for parameter in parameters { try parameter.setRequiresGrad(true) }
        let optimizer = try AdamW([
            .init([("weight", parameters[0])], weightDecay: 0.1), .init([("bias", parameters[1])], weightDecay: 0),
        ])
        return (parameters, optimizer)
    }

    private func update(_ number: Int, _ parameters: [Tensor], _ optimizer: AdamW) throws -> Double {
        try optimizer.clearGradients()
        try parameters[0].setGradient(tensor("gradient.\(number).weight"))
        try parameters[1].setGradient(tensor("gradient.\(number).bias"))
        let (norm, scale) = try GradientClipping(limit: 1)(optimizer.groups)
        try optimizer.step(learningRate: 0.05 / Double(number), gradientScale: scale)
        return norm
    }

    @Test func `updates are torch's`() throws {
        let (parameters, optimizer) = try start()
        for number in 1...5 {
            let norm = try update(number, parameters, optimizer)
            let expected = try tensor("norm.\(number)").item()
            #expect(abs(norm - expected) < 1e-5 * expected)
            #expect(try largestDifference(parameters[0], tensor("\(number).weight")) < 1e-6)
            #expect(try largestDifference(parameters[1], tensor("\(number).bias")) < 1e-6)
        }
        #expect(optimizer.updates == 5)
        for (name, state) in optimizer.state {
            #expect(try largestDifference(state, tensor("5.\(name)")) < 1e-6, "\(name)")
        }
        // Some gradients of the golden are above the limit, some below.
        let norms = try (1...5).map { try tensor("norm.\($0)").item() }
        #expect(norms.contains { $0 > 1 } && norms.contains { $0 < 1 })
    }

    @Test func `a restored optimizer goes on bit for bit`() throws {
        let (parameters, optimizer) = try start()
        for number in 1...3 { _ = try update(number, parameters, optimizer) }
        let saved = try optimizer.state.map { ($0.name, try $0.tensor.cloned()) }
        let (others, restored) = try start()
        for (other, parameter) in zip(others, parameters) { try other.assign(parameter.detached()) }
        try restored.restore(updates: 3) { name in saved.first { $0.0 == name }?.1 }
        for number in 4...5 {
            _ = try update(number, parameters, optimizer)
            _ = try update(number, others, restored)
        }
        for (other, parameter) in zip(others, parameters) {
            #expect(try other.values(as: Float.self) == parameter.values())
        }
        #expect(restored.updates == 5)
    }

    @Test func `a state that does not fit is a failure of the input`() throws {
        let (_, optimizer) = try start()
        for wrong in [nil, try Tensor.zeros([1, 2, 3])] {
            let failure = try expectedFailure { try optimizer.restore(updates: 3) { _ in wrong } }
            #expect(failure.blame == .input)
            #expect(failure.expected?.contains("exp_avg.weight") == true)
        }
        #expect(optimizer.updates == 0)
    }

    @Test func `parameters without gradients stay what they are`() throws {
        let (parameters, optimizer) = try start()
        let before = try parameters.map { try $0.values(as: Float.self) }
        try optimizer.step(learningRate: 1)
        #expect(try parameters.map { try $0.values(as: Float.self) } == before)
        #expect(try optimizer.groups.gradientNorm() == 0)
    }
}
