import Cascade
import Files
import Settings

extension ModelPart {
    /// As `stage` of an architecture file has it.
    private enum StageName: String, CaseIterable, SettingReadable { case b, c }

    /// The stage that a `model_version` is: told by a known size, by an architecture file's `stage`, or by the keys
    /// that only Stage B has.
    public init(modelVersion: String) throws {
        if let size = ModelSize.named(modelVersion) {
            self = size.part
            return
        }
        // A file that is not there is told of where it is read.
        guard let path = ModelFiles.architectureFile(modelVersion) else {
            self = .stageC
            return
        }
        let file = try Setting.read(path)
        if let stage = file["stage"], !stage.isNull {
            self = try stage.read(as: StageName.self) == .b ? .stageB : .stageC
        } else {
            self = ["c_clip", "c_effnet", "c_pixels"].contains { file[$0] != nil } ? .stageB : .stageC
        }
    }
}
