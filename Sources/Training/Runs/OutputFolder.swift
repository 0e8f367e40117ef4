import Files
import Telemetry

/// Where a run's previews, metrics and validation losses go.
struct OutputFolder {
    let path: String

    init(outputPath: String, experimentID: String) throws {
        path = "\(outputPath)/\(experimentID)"
        try Folder.make(path)
    }

    /// Writes a preview: `000001.jpg` for update 1.
    func write(preview: LoggedPicture, update: Int) throws {
        let number = String(update)
        let name = "\(String(repeating: "0", count: max(0, 6 - number.count)))\(number).jpg"
        try writeAtomically(preview.jpeg, to: "\(path)/\(name)")
    }

    func write(_ report: ValidationReport) throws {
        try writeAtomically(report.json.text() + "\n", to: "\(path)/held_out.json")
    }
}
