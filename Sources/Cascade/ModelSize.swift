/// A size of Stage C or Stage B that has a name, the one that `model_version` takes.
public struct ModelSize: Sendable {
    /// The network that has the size, with its constructor values.
    public enum Architecture: Sendable {
        /// A Stage C, which text and image embeddings condition.
        case stageC(StageCConfiguration)
        /// A Stage B, which Stage C's latents condition.
        case stageB(StageBConfiguration)
    }

    /// As `model_version` and the name of a base have it: "3.6B".
    public let name: String
    /// The stage and its constructor values.
    public let architecture: Architecture
    /// Whether weights of it are published, whose licence derivatives inherit.
    public let isPublished: Bool

    /// The largest Stage C.
    public static let large = ModelSize(name: "3.6B", architecture: .stageC(.large), isPublished: true)

    /// All sizes, those of Stage C first, the largest of each stage first.
    public static let all = [
        large,
        ModelSize(name: "1B", architecture: .stageC(.lite), isPublished: true),
        ModelSize(name: "tiny", architecture: .stageC(.tiny), isPublished: false),
        ModelSize(name: "3B", architecture: .stageB(.large), isPublished: true),
        ModelSize(name: "700M", architecture: .stageB(.lite), isPublished: true),
    ]

    /// The size of exactly this name; nil where there is none.
    public static func named(_ name: String) -> ModelSize? { all.first { $0.name == name } }

    /// The size of a stage that has this width.
    public static func of(_ part: ModelPart, width: Int) -> ModelSize? {
        all.first { $0.part == part && $0.width == width }
    }

    /// The names of a stage's sizes, for people: "3.6B, 1B, tiny".
    public static func names(of part: ModelPart, last separator: String = ", ") -> String {
        let names = all.filter { $0.part == part }.map(\.name)
        return names.dropLast().joined(separator: ", ") + separator + (names.last ?? "")
    }

    /// Whether derivatives of a base of this name may be under the licence of the published weights.
    public static func isPublished(_ name: String) -> Bool { named(name)?.isPublished ?? false }

    /// Stage C or Stage B.
    public var part: ModelPart { stageC == nil ? .stageB : .stageC }

    /// The constructor values of a Stage C; nil of a Stage B.
    public var stageC: StageCConfiguration? {
        if case .stageC(let configuration) = architecture { configuration } else { nil }
    }

    /// The constructor values of a Stage B; nil of a Stage C.
    public var stageB: StageBConfiguration? {
        if case .stageB(let configuration) = architecture { configuration } else { nil }
    }

    /// The channels that tell the size from the others of its stage: Stage C's all over, Stage B's of its second level.
    public var width: Int {
        switch architecture {
        case .stageC(let configuration): configuration.conditionWidth
        case .stageB(let configuration): configuration.hidden[1]
        }
    }
}
