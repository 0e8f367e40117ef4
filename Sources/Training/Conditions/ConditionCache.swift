import AdapterKit
import Files
import Generation
import Glibc
import JSON
import Weights

extension EncodingCache {
    /// Conditions that a filter makes of images.
    ///
    /// Beside the image an entry is known by the filter's name, its parameters, the files of both, and the program
    /// that the filter is part of: one that somebody works on makes other conditions from build to build.
    /// - Parameter parameters: those that the filter was made with.
    convenience init(
        in folder: String, conditionsOf filter: any ControlFilter, _ parameters: JSON,
        warn: @escaping @Sendable (String) -> Void
    ) throws {
        // Also files that are no network's: a parameter may name an image or a list.
        let files =
            filter.modelFiles.filter(\.isThere).flatMap { (try? Tensors.files(at: $0.path)) ?? [$0.path] }
            + parameters.texts.filter { fileExists($0) && !Folder.isFolder($0) }
        let digests = try Set(files).sorted().map { try SHA256.hex(ofFile: $0) }
        try self.init(
            "\(folder)/conditions",
            salt: "conditions \(ConditionBytes.version) of \(type(of: filter).name)"
                + " \(parameters.text(sorted: true)) with \(digests) by \(Self.program)",
            warn: warn)
    }

    /// What tells this build of the program from others: its size, and when it was linked.
    private static let program: String = {
        var facts = stat()
        guard stat("/proc/self/exe", &facts) == 0 else { return "" }
        return "\(facts.st_size) \(facts.st_mtim.tv_sec).\(facts.st_mtim.tv_nsec)"
    }()
}

extension JSON {
    /// All strings that are values.
    fileprivate var texts: [String] {
        switch self {
        case .string(let text): [text]
        case .array(let elements): elements.flatMap(\.texts)
        case .object(let object): object.flatMap { $0.value.texts }
        default: []
        }
    }
}
