import Optimization
import TestSupport
import Testing
import Torch

/// Fifty updates of five parameters by every optimizer, held to its source.
@Suite struct FiftyUpdates {
    /// An optimizer as the golden's script made it.
    enum Case: String, CaseIterable {
        case adamW = "adamw"
        case adamW8bit = "adamw_8bit"
        case adafactor
        case relativeAdafactor = "adafactor_relative"
        case prodigy
        case elaborateProdigy = "prodigy_options"

        func make(_ problem: Problem) throws -> any Optimizer {
            switch self {
            case .adamW: return try AdamW(problem.groups(rateFactor: 0.5))
            case .adamW8bit: return try AdamW8bit(problem.groups())
            case .adafactor: return try Adafactor(problem.groups())
            case .relativeAdafactor:
                var values = Adafactor.Configuration()
                values.hasRelativeStep = true
                values.scalesByParameter = true
                values.beta1 = 0.9
                return try Adafactor(problem.groups(), configuration: values)
            case .prodigy, .elaborateProdigy:
                var values = Prodigy.Configuration()
                values.d0 = 1e-3
                values.dCoefficient = 0.1
                if self == .elaborateProdigy {
                    values.correctsBias = true
                    values.safeguardsWarmup = true
                    values.growthRate = 1.2
                    values.dCoefficient = 5
                }
                return try Prodigy(problem.groups(), configuration: values)
            }
        }

        var run: Problem.Run {
            .init(isClipped: self != .adamW8bit, isUnit: self == .prodigy || self == .elaborateProdigy)
        }
    }

    @Test(arguments: Case.allCases)
    func `parameters are the source's`(of: Case) throws {
        let problem = try Problem()
        try problem.train(of.make(problem), 1...Problem.updates, of.run)
        let distance = try problem.distance(to: of.rawValue)
        #expect(distance < 1e-5, "\(distance)")
    }

    @Test(arguments: Case.allCases)
    func `stopped and resumed is uninterrupted, bit for bit`(of: Case) throws {
        let whole = try Problem()
        let optimizer = try of.make(whole)
        try whole.train(optimizer, 1...23, of.run)
        let kept = try whole.parameters.map { try $0.detached().cloned() }
        let state = try optimizer.state.map { ($0.name, try $0.tensor.cloned()) }
        #expect(Set(state.map(\.0)).count == state.count)

        let resumed = try Problem()
        let again = try of.make(resumed)
        for (parameter, value) in zip(resumed.parameters, kept) { try parameter.assign(value) }
        try again.restore(updates: optimizer.updates) { name in state.first { $0.0 == name }?.1 }
        try whole.train(optimizer, 24...Problem.updates, of.run)
        try resumed.train(again, 24...Problem.updates, of.run)
        #expect(try resumed.values() == whole.values())
        for (ours, theirs) in zip(again.state, optimizer.state) {
            #expect(try ours.tensor.values(as: Double.self) == theirs.tensor.values(), "\(ours.name)")
        }
        #expect(try again.effectiveRate(0.5) == optimizer.effectiveRate(0.5))
    }

    @Test(arguments: Case.allCases)
    func `the memory of the state is what is said`(of: Case) throws {
        let problem = try Problem()
        let choice: OptimizerChoice
        switch of {
        case .adamW: choice = .adamW(.init())
        case .adamW8bit: choice = .adamW8bit(.init())
        case .adafactor: choice = .adafactor(.init())
        case .prodigy: choice = .prodigy(.init())
        default: return
        }
        let optimizer = try of.make(problem)
        #expect(choice.name == optimizer.name)
        let said = problem.parameters.reduce(0) { $0 + choice.stateBytes($1.shape) }
        let held = optimizer.state.filter { $0.name != "prodigy" }.reduce(0) { $0 + $1.tensor.byteCount }
        #expect(said == held)
    }

    @Test func `the mean of weights is the reference's`() throws {
        let problem = try Problem()
        let groups = problem.groups(rateFactor: 0.5)
        let average = try AveragedWeights(of: groups.parameters, .init(start: 10, every: 4, beta: 0.9))
        try problem.train(AdamW(groups), 1...Problem.updates, .init { try average.follow(update: $0) })
        #expect(try problem.distance(to: "average", of: average.means.map(\.tensor)) < 1e-5)
    }
}
