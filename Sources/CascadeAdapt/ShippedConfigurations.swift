import Failures
import Files
import Models
import Settings

extension Setting {
    /// Reads a configuration that a command is given, by its path or by its name among those that come with the program.
    ///
    /// Paths in it that shipped configurations write, such as `examples/miniature/stage_c.safetensors`, lead to what came with
    /// the program where the working folder has nothing there.
    /// - Parameter overrides: assignments `KEY=VALUE`, as `--set` takes them.
    static func read(_ name: String, for use: Shipped.Use, overriddenBy overrides: [String] = []) throws -> Setting {
        let shipped = Shipped()
        let file: Setting
        do {
            file = try read(shipped.configuration(name, for: use))
        } catch var failure as Failure where !fileExists(name) && !Folder.isFolder(name) {
            failure.advice =
                "check the path; `cascade-adapt configs` lists the configurations that come with the program"
            throw failure
        }
        return try overrides.reduce(file) { try $0.overridden(by: $1) }.mapTexts(shipped.path)
    }
}
