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
    func write(preview: LoggedImage, update: Int) throws {
        try writeAtomically(preview.jpeg, to: "\(path)/\(zeroPadded(update, digits: 6)).jpg")
    }

    func write(_ report: ValidationReport) throws {
        try writeAtomically(report.json.text() + "\n", to: "\(path)/held_out.json")
    }
}
