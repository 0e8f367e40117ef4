import AdapterKit
import ArgumentParser
import Failures
import Files
import Generation
import Images
import Settings
import Torch

/// `filter sheet IMAGE…`: what every filter makes of some images, side by side.
struct FilterSheet: Action {
    static let configuration = CommandConfiguration(
        commandName: "sheet", abstract: "Show the results of all filters side by side.",
        discussion: """
            One row for each image, which stands first. The filters have their default parameters. A filter whose \
            model file is missing is left out, with a note.
            """)

    @Argument(help: "Images: JPEG, PNG or WebP.", completion: .file())
    var images: [String]

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The sheet to write, .png or .jpg.", valueName: "file"),
        completion: .file(extensions: ["png", "jpg"]))
    var output: String

    @Option(help: "The longer side of each image on the sheet, 64 to 1024 pixels.")
    var side = 256

    @OptionGroup var overwriting: OverwriteOption

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        guard (64...1024).contains(side) else {
            throw Failure.input("--side is out of range", expected: "64 to 1024", got: "\(side)")
        }
        try overwriting.check([output], reading: images)
        try Sheet.checkPath(output)
        let photographs = try images.map { (name: $0, image: try Image(contentsOf: $0)) }
        let filters = try context.plugIns.filters.map { try $0.make(Setting.parse("", file: $0.name)) }
        let ready = filters.filter(isReady)
        guard !ready.isEmpty else { throw Failure.input("no filter has what it needs") }
        _ = try machine.prepared()
        var cells: [Sheet.Cell] = []
        for (name, photograph) in photographs {
            cells.append((fitting(photograph), lastComponent(of: name)))
            let tensor = try ImageTensors.tensor([photograph])
            for filter in ready {
                let made = try withoutGradients { try filter(tensor, generator: Generator(seed: machine.seed ?? 0)) }
                cells += try ImageTensors.images(made.preview).map { (fitting($0), type(of: filter).name) }
            }
        }
        try Sheet(side: side, columns: 1 + ready.count, cells: cells).drawn().write(to: output)
        machine.output.note("\(output) shows \(photographs.count) images and \(ready.count) filters")
    }

    /// Whether a filter has the files it needs; what it lacks is told.
    private func isReady(_ filter: any ControlFilter) -> Bool {
        do {
            try filter.prepare()
            return true
        } catch {
            machine.output.note("\(type(of: filter).name) is left out: \(error)")
            return false
        }
    }

    private func fitting(_ image: Image) -> Image {
        let scale = Double(side) / Double(max(image.width, image.height))
        guard scale < 1 else { return image }
        return image.resized(
            width: max(1, Int(Double(image.width) * scale)), height: max(1, Int(Double(image.height) * scale)))
    }
}
