import Images
import ArgumentParser
import Generation

/// `WxH`, or one number for both sides.
struct SizeArgument: ExpressibleByArgument {
    let size: ImageSize

    init?(argument: String) {
        let sides = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) }
        guard (1...2).contains(sides.count), let width = sides[0], let height = sides[sides.count - 1] else {
            return nil
        }
        size = ImageSize(width: width, height: height)
    }
}

/// One value for Stage C, or `C,B` for both stages.
struct StagesArgument<Value: LosslessStringConvertible>: ExpressibleByArgument {
    let stageC: Value
    let stageB: Value?

    init?(argument: String) {
        let values = argument.split(separator: ",", omittingEmptySubsequences: false).map { Value(String($0)) }
        guard (1...2).contains(values.count), let first = values[0] else { return nil }
        stageC = first
        if values.count == 2 {
            guard let second = values[1] else { return nil }
            stageB = second
        } else {
            stageB = nil
        }
    }
}

/// `FROM:UNTIL`, shares of the steps.
struct WindowArgument: ExpressibleByArgument {
    let window: StepWindow

    init?(argument: String) {
        let ends = argument.split(separator: ":", omittingEmptySubsequences: false).map { Double($0) }
        guard ends.count == 2, let from = ends[0], let until = ends[1],
            let window = StepWindow(from: from, until: until)
        else { return nil }
        self.window = window
    }
}

extension SamplerName: ExpressibleByArgument {}
extension GenerationPipeline.DecoderName: ExpressibleByArgument {}
