import Cascade
import Failures
import Files
import Synchronization

/// A network that a filter takes from a file of its own, or from a folder of several: opened once, when it is first
/// needed, and then shared by every thread that runs the filter.
public final class FilterModel<Network: Sendable>: Sendable {
    private let opened = Mutex<Network?>(nil)
    private let name: String
    private let known: KnownModel?
    private let given: String?
    private let open: @Sendable (String) throws -> Network

    /// - Parameters:
    ///   - name: as `models get` knows it, such as "pidinet".
    ///   - path: where the user says the file is; nil looks where models lie.
    ///   - open: makes the network of the file at a path, or of the folder where the model is several files.
    public init(_ name: String, path: String?, open: @escaping @Sendable (String) throws -> Network) {
        self.name = name
        known = KnownModel.named(name)
        given = path
        self.open = open
    }

    /// The network.
    /// - Throws: a failure of the input where the file is missing or none of its kind.
    public func network() throws -> Network {
        try opened.withLock { opened in
            if let opened { return opened }
            try check()
            let made = try open(file.path)
            opened = made
            return made
        }
    }

    /// Where the file is, or should be; the folder of a model of several files.
    public var file: FilterModelFile {
        let path = given ?? known.flatMap { ModelPlaces().path(of: $0) } ?? "models/\(known?.place ?? name)"
        return FilterModelFile(name: name, path: path, isThere: absent(at: path).isEmpty)
    }

    /// The names of files that are missing at a path.
    private func absent(at path: String) -> [String] { known?.absent(at: path) ?? (fileExists(path) ? [] : [name]) }

    /// - Throws: a failure of the input where the file is missing: which, where it was looked for, and what gets it.
    public func check() throws {
        let file = file
        if file.isThere { return }
        guard let known else { throw Failure.input("the filter's model file is missing", at: .init(file.path)) }
        let elsewhere = given == nil ? ModelPlaces().cache(of: known).map { " there or in \($0)" } : nil
        throw Failure.input(
            "the filter's model file is missing (\(known.description); licence: \(known.licence))",
            at: .init(file.path), expected: absent(at: file.path).joined(separator: ", ") + (elsewhere ?? ""),
            advice: known.advice(for: given))
    }
}
