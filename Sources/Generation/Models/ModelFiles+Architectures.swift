import Cascade
import Failures
import Files
import Models
import Settings

extension ModelFiles {
    /// The architecture of Stage C: a known size, or what a file says.
    public func stageCArchitecture() throws -> StageCConfiguration {
        try Self.architecture(Self.named(stageC, "Stage C").architecture, \.stageC)
    }

    /// The architecture of Stage B, likewise.
    public func stageBArchitecture() throws -> StageBConfiguration {
        try Self.architecture(Self.named(stageB, "Stage B").architecture, \.stageB)
    }

    /// The architecture of Stage C's encoder, as Stage C's says; beside Stage B alone it is the published one's.
    public func encoderArchitecture() throws -> EffNetEncoder.Configuration {
        try stageC == nil ? .init() : stageCArchitecture().encoder
    }

    private static func architecture<Configuration: StageConfiguration & SettingReadable>(
        _ source: Source, _ known: (ModelSize) -> Configuration?
    ) throws -> Configuration {
        if let size = ModelSize.named(source.name), let known = known(size) { return known }
        guard let path = architectureFile(source.name) else {
            throw Failure.input(
                "`\(source.key)` is neither a known size nor an architecture file", at: source.place,
                expected:
                    "\(ModelSize.names(of: .stageC)), \(Miniature.name), for Stage B "
                    + "\(ModelSize.names(of: .stageB, last: " or ")), or the path of a YAML file", got: source.name)
        }
        return try Setting.read(path).read()
    }

    /// The architecture file that a `model_version` of no known size names; nil where it is not there.
    static func architectureFile(_ modelVersion: String) -> String? {
        if fileExists(modelVersion) { return modelVersion }
        return modelVersion == Miniature.name ? Miniature.architectureFile() : nil
    }

    /// - Throws: a failure of the input where an image encoder does not make the embeddings that Stage C takes.
    public func check(_ tower: CLIPVisionConfiguration) throws {
        let width = try stageCArchitecture().clipImageWidth
        guard tower.projected == width, tower.channels == 3 else {
            throw Failure.input(
                "this image encoder does not suit the model", at: image?.place,
                expected: "embeddings of \(width) numbers (`c_clip_img`) of images with 3 channels",
                got: "\(tower.projected) numbers, \(tower.channels) channels")
        }
    }

    /// What is named of a network that is asked for.
    /// - Throws: a failure of the input where nothing is.
    static func named<Named>(_ source: Named?, _ what: String) throws -> Named {
        guard let source else {
            throw Failure.input("nothing is named for \(what)", expected: "the file or folder of its weights")
        }
        return source
    }
}
