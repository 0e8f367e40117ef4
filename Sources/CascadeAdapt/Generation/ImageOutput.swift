import Failures
import Files
import Images

/// Where images go: one file, or a folder whose files are numbered on.
struct ImageOutput {
    private enum Place {
        case file(String)
        case folder(String, next: Int)
    }

    private var place: Place

    /// - Parameter count: of the files that will be written.
    /// - Throws: a failure of the input where they cannot lie there.
    init(_ path: String, count: Int) throws {
        let name = lastComponent(of: path)
        let ending =
            name.split(separator: ".").count > 1 ? name.split(separator: ".").last.map { $0.lowercased() } : nil
        if !Folder.isFolder(path), let ending, Image.endings.contains(ending) {
            guard count == 1 else {
                throw Failure.input(
                    "\(count) images cannot be one file", at: .init(path), expected: "a folder, or --sweep for a grid")
            }
            let folder = parentFolder(of: path)
            guard Folder.isFolder(folder) else {
                throw Failure.input("there is no folder for the image", at: .init(path), expected: folder)
            }
            place = .file(path)
            return
        }
        if let ending, ["gif", "bmp", "tif", "tiff", "avif", "jxl", "heic"].contains(ending) {
            throw Failure.input(
                "images are not written in this format", at: .init(path),
                expected: Image.endings.map { ".\($0)" }.joined(separator: ", "), got: ".\(ending)")
        }
        if fileExists(path), !Folder.isFolder(path) {
            throw Failure.input("a file lies where the folder of images should be", at: .init(path))
        }
        try Folder.make(path)
        let numbers = try Folder.names(path).compactMap { Int($0.prefix(5)) }
        place = .folder(path, next: (numbers.max() ?? 0) + 1)
    }

    /// The path of the next image.
    mutating func next(seed: UInt64) -> String {
        switch place {
        case .file(let path): return path
        case .folder(let folder, let number):
            place = .folder(folder, next: number + 1)
            return path("\(zeroPadded(number, digits: 5))-\(seed).png", in: folder)
        }
    }
}
