import AdapterKit
import Settings
import Telemetry

/// Something that can be trained: what a configuration says of it, read once, and what is done with that.
///
/// A recipe is one file, and one line in ``Recipes``: its command, its help, `plan` and dry runs come of them.
public protocol Recipe: SendableMetatype {
    /// What its command and its plans are called.
    static var name: String { get }

    /// What its command does, for help.
    static var abstract: String { get }

    /// Whether a configuration is one for this recipe, told by keys that no other has.
    static func recognises(_ setting: Setting, _ plugIns: PlugIns) -> Bool

    /// Reads every key that the recipe has.
    /// - Throws: a failure of the input at the first key that is missing or can't be read.
    init(_ fields: inout Fields, _ plugIns: PlugIns) throws

    /// What a run would do, told without loading weights.
    func plan(_ options: RunOptions) throws -> TrainingPlan

    /// Loads what is needed and trains.
    /// - Returns: nil for a dry run, once all that a run needs has been loaded.
    func train(_ options: RunOptions, _ console: Console) throws -> RunOutcome?
}

extension Recipe {
    /// Reads a configuration; where its run has begun, with the defaults of that time.
    /// - Throws: a failure of the input at a key that is missing, unknown or can't be read.
    public init(_ setting: Setting, _ plugIns: PlugIns) throws {
        var fields = try setting.gathered(by: EffectiveValues(of: setting)).fields()
        try self.init(&fields, plugIns)
        try fields.finish()
    }
}

/// The recipes of the program.
public enum Recipes {
    /// In the order in which a configuration is held against them; the last takes what no other does.
    public static let all: [any Recipe.Type] = [ControlNetRecipe.self, AdapterRecipe.self, FinetuneRecipe.self]

    /// The recipe that a configuration is for.
    public static func recipe(for setting: Setting, _ plugIns: PlugIns) -> any Recipe.Type {
        all.first { $0.recognises(setting, plugIns) } ?? FinetuneRecipe.self
    }
}
