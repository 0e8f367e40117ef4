import Failures
import Files

/// The folder of tars that `data/make.py` makes.
struct MiniatureData {
    private let folder: String

    init(_ folder: String) throws {
        guard Folder.isFolder(folder) else {
            throw Failure.input(
                "there is no folder with the data", at: .init(folder),
                advice: "make it with: python3 examples/miniature/data/make.py \(folder)")
        }
        self.folder = folder
    }

    /// What is trained on.
    func training() throws -> ImageSet {
        let tars = try Folder.names(folder).filter { $0.hasPrefix("train-") && $0.hasSuffix(".tar") }
        guard !tars.isEmpty else {
            throw Failure.input(
                "there is nothing to train on in the data", at: .init(folder), expected: "train-*.tar",
                advice: "make it with: python3 examples/miniature/data/make.py \(folder)")
        }
        return try ImageSet(tars: tars.map { path($0, in: folder) })
    }

    /// Images that are held out, by the tar's name.
    func heldOut(_ name: String) throws -> ImageSet {
        let tar = path("\(name).tar", in: folder)
        guard fileExists(tar) else {
            throw Failure.input(
                "held-out images are missing in the data", at: .init(tar),
                advice: "make them with: python3 examples/miniature/data/make.py \(folder)")
        }
        return try ImageSet(tars: [tar])
    }
}
