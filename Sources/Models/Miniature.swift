import Files

/// The miniature Stable Cascade that comes with the program: a folder of small networks that draw, laid out as the
/// official ones are in `models/`.
public enum Miniature {
    /// Its name as a `model_version`, for `--models` and in the list of models.
    public static let name = "miniature"

    /// Where it is; nil where the program came without it.
    public static func folder() -> String? {
        Shipped().folder(name, in: "examples") { fileExists("\($0)/stage_c.yaml") }
    }

    /// Its architecture file; nil where the program came without it.
    public static func architectureFile() -> String? { folder().map { "\($0)/stage_c.yaml" } }

    static let model = PublishedModel(
        name: name, description: "a whole Stable Cascade of 7 million parameters that draws emoji, 96 pixels",
        source: .shipped, licence: "MIT; trained on images of Noto Emoji (SIL Open Font License 1.1)", megabytes: 15)
}

/// CLIP's vocabulary, which set-up puts in place: a text encoder whose folder has none of its own takes it.
public enum Vocabulary {
    private static func isWhole(_ folder: String) -> Bool {
        ["tokenizer.json", "vocab.json"].contains { fileExists("\(folder)/\($0)") }
    }

    /// The folder of a text encoder's vocabulary: its own where it has one, else CLIP's where that is.
    public static func folder(of tower: String) -> String { isWhole(tower) ? tower : folder() ?? tower }

    /// The folder of CLIP's; nil where it is not here.
    public static func folder() -> String? { Shipped().folder("clip-tokenizer", in: "models", where: isWhole) }
}
