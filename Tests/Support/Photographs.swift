import Failures
import Foundation

/// The real photographs that set-up gathers out of packages, listed in `Tests/Photographs/photographs.tsv`.
public enum Photographs {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The file of a photograph by its name, such as "astronaut.png".
    /// - Throws: a failure where set-up has not gathered it: a test that needs it then fails.
    public static func path(_ name: String) throws -> String {
        let file = root.appendingPathComponent(".photographs/\(name)").path
        guard FileManager.default.fileExists(atPath: file) else {
            throw Failure.input("a photograph of the tests is missing", at: .init(file), advice: "run `make setup`")
        }
        return file
    }
}
