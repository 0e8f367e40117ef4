import Cascade
import Failures
import Files
import Synchronization

/// A network that a filter takes from a file of its own: opened once, when it is first needed, and then shared by every
/// thread that runs the filter.
public final class FilterModel<Network: Sendable>: Sendable {
    private let opened = Mutex<Network?>(nil)
    private let name: String
    private let known: KnownModel?
    private let given: String?
    private let open: @Sendable (String) throws -> Network

    /// - Parameters:
    ///   - name: as `models get` knows it, such as "pidinet".
    ///   - path: where the user says the file is; nil looks where models lie.
    ///   - open: makes the network of the file at a path.
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
            let made = try open(path())
            opened = made
            return made
        }
    }

    /// Where the file is, or should be.
    public var file: FilterModelFile {
        let path = given ?? known.flatMap { ModelPlaces().path(of: $0) }
        return FilterModelFile(
            name: name, path: path ?? "models/\(known?.place ?? name)", isThere: path.map(fileExists) ?? false)
    }

    private func path() throws -> String {
        let file = file
        if file.isThere { return file.path }
        guard let known else { throw Failure.input("the filter's model file is missing", at: .init(file.path)) }
        throw Failure.input(
            "the filter's model file is missing (\(known.description); licence: \(known.licence))",
            at: .init(file.path),
            expected: known.place + (given == nil ? " there or in the cache of the Hugging Face hub" : ""),
            advice: "cascade-adapt models get \(known.name)\(given == nil ? "" : " -o \(file.path)")")
    }
}
