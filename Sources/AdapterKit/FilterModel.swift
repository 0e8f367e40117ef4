import Failures
import Models
import Synchronization

/// A network that a filter takes from a file of its own, or from a folder of several: opened once, when it is first
/// needed, and then shared by every thread that runs the filter.
public final class FilterModel<Network: Sendable>: Sendable {
    private let opened = Mutex<Network?>(nil)
    private let model: PublishedModel
    private let given: String?
    private let open: @Sendable (String) throws -> Network

    /// - Parameters:
    ///   - model: one of those that the filter declares.
    ///   - path: where the user says the file is; nil looks where models lie.
    ///   - open: makes the network of the file at a path, or of the folder where the model is several files.
    public init(_ model: PublishedModel, path: String?, open: @escaping @Sendable (String) throws -> Network) {
        self.model = model
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
        let path = given ?? ModelPlaces().path(of: model) ?? "models/\(model.place)"
        return FilterModelFile(name: model.name, path: path, isThere: model.absent(at: path).isEmpty)
    }

    /// - Throws: a failure of the input where the file is missing: which, where it was looked for, and what gets it.
    public func check() throws {
        let file = file
        if file.isThere { return }
        let elsewhere = given == nil ? ModelPlaces().cache(of: model).map { " there or in \($0)" } : nil
        throw Failure.input(
            "the filter's model file is missing (\(model.description); licence: \(model.licence))",
            at: .init(file.path), expected: model.absent(at: file.path).joined(separator: ", ") + (elsewhere ?? ""),
            advice: model.advice(for: given))
    }
}
