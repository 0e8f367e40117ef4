import Failures

/// Values that something takes one after the other, along a side of a grid: `lora=0,0.5,1`.
struct Sweep {
    enum Key: String, CaseIterable {
        case lora, controlnet, seed, steps, cfg, denoise
    }

    let key: Key
    let values: [Double]
    /// As it was written.
    let text: String

    /// Cells that a grid may have.
    static let most = 400

    init(_ text: String) throws {
        let parts = text.split(separator: "=", maxSplits: 1)
        let names = Key.allCases.map(\.rawValue).joined(separator: ", ")
        guard parts.count == 2, let key = Key(rawValue: String(parts[0])) else {
            throw Failure.input(
                "--sweep cannot be read", expected: "KEY=VALUE,VALUE with KEY one of \(names)", got: text)
        }
        let values = parts[1].split(separator: ",", omittingEmptySubsequences: false).map { Double($0) ?? .nan }
        func fits(_ value: Double) -> Bool {
            switch key {
            case .seed: value >= 0 && value <= 0x1p53 && value == value.rounded()
            case .steps: (1...1000).contains(value) && value == value.rounded()
            case .denoise: value > 0 && value <= 1
            case .lora, .controlnet, .cfg: value.isFinite
            }
        }
        guard values.allSatisfy(fits) else {
            throw Failure.input("--sweep has a value that \(key.rawValue) cannot take", got: text)
        }
        guard values.count <= Self.most else {
            throw Failure.input(
                "--sweep has too many cells", expected: "at most \(Self.most)", got: "\(values.count)")
        }
        (self.key, self.values, self.text) = (key, values, text)
    }

    /// A plan with a value in its place; adapters all have the same.
    func applied(_ value: Double, to plan: ImagePlan) -> ImagePlan {
        var plan = plan
        switch key {
        case .lora: for index in plan.adapters.indices { plan.adapters[index].strength = value }
        case .controlnet: for index in plan.controlNets.indices { plan.controlNets[index].strength = value }
        case .seed: plan.seed = UInt64(value)
        case .steps: plan.stageC.steps = Int(value)
        case .cfg: plan.stageC.guidance = value
        case .denoise: plan.denoise = value
        }
        return plan
    }

    func label(_ value: Double) -> String { "\(key.rawValue) \(short(value))" }

    /// - Throws: a failure of the input where a plan has nothing that the sweep could change.
    func check(_ plan: ImagePlan) throws {
        let isThere =
            switch key {
            case .lora: !plan.adapters.isEmpty
            case .controlnet: !plan.controlNets.isEmpty
            case .denoise: plan.start != nil
            case .seed, .steps, .cfg: true
            }
        if !isThere {
            throw Failure.input(
                "there is nothing to sweep \(key.rawValue) over", got: text,
                advice: key == .denoise ? "give --init" : "give --\(key.rawValue)")
        }
    }
}
