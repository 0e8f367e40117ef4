import Diffusion
import Weights

/// What a stage was trained to predict. The files of a stage that `finetune` wrote say it; the published ones predict the
/// noise, and say nothing.
extension ModelFiles {
    /// The name under which a file's metadata has it.
    public static let targetKey = "target"

    /// - Parameter path: a file of a stage's weights, or a folder with one.
    /// - Returns: nil where there is no file, or where it does not say.
    public static func target(_ path: String) -> Target? {
        (try? Tensors.open(path))?.metadata[targetKey].flatMap(Target.init)
    }

    /// What a stage is asked for when it samples.
    static func target(of stage: Stage?) -> Target { (stage?.weights?.name).flatMap(target) ?? .epsilon }
}
