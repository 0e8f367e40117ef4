import AdapterKit
import Failures

extension LoRA {
    public static func changes(in file: AdapterFile) throws -> [WeightChange]? {
        guard file.kinds.contains(kind) else { return nil }
        let place = Failure.Place(file.path)
        let alpha = try file.number("alpha")
        let suffix = LowRankChange.downKey("")
        let paths = file.weights.entries.map(\.name).filter { $0.hasSuffix(suffix) }.map {
            String($0.dropLast(suffix.count))
        }
        guard !paths.isEmpty else { throw Failure.input("the LoRA has no module at all", at: place) }
        return try paths.map { path in
            let down = try file.weights.required(LowRankChange.downKey(path))
            let up = try file.weights.required(LowRankChange.upKey(path))
            guard down.rank == 2, up.rank == 2, up.size(1) == down.size(0), up.count > 0, down.count > 0 else {
                throw Failure.input(
                    "the two matrices of `\(path)` do not fit each other", at: place,
                    expected: "down [rank, in] and up [out, rank]", got: "\(down.shape) and \(up.shape)")
            }
            return .lowRank(.init(path: path, up: up, down: down, scale: alpha / Double(down.size(0))))
        }
    }
}
