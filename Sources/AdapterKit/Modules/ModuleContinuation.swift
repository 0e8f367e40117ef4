import Failures
import Layers
import Settings
import Torch

/// A file of a method's modules held against a configuration that starts from it.
///
/// What the configuration names has to be what the file has, but for modules that the file lacks: those are added. What it
/// leaves out is as in the file.
struct ModuleContinuation<Method: ModuleMethod> {
    /// Where the configuration names what; nil where it does not.
    struct Keys {
        let rank: Failure.Place?
        let alpha: Failure.Place?
        let filters: Failure.Place?
        let textFilters: Failure.Place?
        static var alphaKey: String { "\(Method.name)_alpha" }

        init(_ fields: Fields) {
            func place(_ key: String) -> Failure.Place? { fields.setting[key]?.place }
            (rank, alpha) = (place("rank"), place(Self.alphaKey))
            (filters, textFilters) = (place(ModuleSelection.key), place(ModuleSelection.textKey))
        }
    }

    private let file: AdapterFile
    private let method: Method
    private let selection: ModuleSelection
    private let model: AdaptedModel
    private let stored: [ModuleMatrices]
    private let added: [(path: String, projection: Projection)]

    /// - Throws: a failure of the input that names the key and both values, where they differ.
    init(
        _ file: AdapterFile, _ method: Method, _ selection: ModuleSelection, _ keys: Keys, _ model: AdaptedModel
    ) throws {
        (self.file, self.method, self.model) = (file, method, model)
        stored = try ModuleMatrices.all(of: Method.self, in: file)
        var here = selection
        if model.text == nil { here.textFilters = [] }
        let selected = try here.modules(of: model)
        let byPath = Dictionary(stored.map { ($0.path, $0) }) { first, _ in first }
        added = selected.filter { byPath[$0.path] == nil }

        let paths = Set(selected.map(\.path))
        let strays = stored.filter { !paths.contains($0.path) }
        for (key, place, isOfText) in [
            (ModuleSelection.key, keys.filters, false), (ModuleSelection.textKey, keys.textFilters, true),
        ] where place != nil && !(isOfText && model.text == nil) {
            let strays = strays.filter { $0.isOfText == isOfText }
            guard let first = strays.first else { continue }
            throw Failure.input(
                "`\(key)` leaves out modules of the file to start from", at: place,
                expected: "filters that select all modules of \(file.path)",
                got: "\(strays.count) that none selects, such as `\(first.path)`",
                advice: "name them in `\(key)`, or start without the file")
        }
        for (path, projection) in selected {
            guard let module = byPath[path] else { continue }
            let shape = ModuleShape(path, projection)
            if let place = keys.rank, let rank = Self.rank(method, shape), let own = module.rank, own != rank {
                throw Self.mismatch("rank", "\(rank)", "\(own)", path, file, at: place)
            }
            // Where modules are added, both have to be scaled alike.
            guard Method.hasRank, keys.alpha != nil || !added.isEmpty else { continue }
            let (alpha, own) = (method.alpha(for: shape), module.alpha)
            if abs(alpha - own) > 1e-6 * max(abs(alpha), abs(own)) {
                throw Self.mismatch(Keys.alphaKey, "\(alpha)", "\(own)", path, file, at: keys.alpha ?? keys.rank)
            }
        }
        let ofFile = try ModuleSelection(describedIn: file)
        self.selection = ModuleSelection(
            keys.filters == nil ? ofFile.filters : selection.filters,
            text: keys.textFilters == nil ? ofFile.textFilters : selection.textFilters)
    }

    /// What there is in all.
    var parts: AdapterParts {
        AdapterParts(
            kind: Method.name,
            shapes: stored.flatMap { $0.tensors.map(\.shape) }
                + added.flatMap { method.start(.init($0.path, $0.projection)).map(\.shape) },
            modules: stored.map(\.path) + added.map(\.path))
    }

    /// The modules that the file lacks, for people; nil where it lacks none.
    var addition: String? {
        guard let first = added.first else { return nil }
        return added.count == 1 ? "the module `\(first.path)`" : "\(added.count) modules, such as `\(first.path)`"
    }

    func adapter(_ generator: Generator) throws -> ModuleAdapter<Method> {
        try ModuleAdapter(file, adding: added, method, on: selection, of: model, generator: generator)
    }

    /// The rank that the method gives a module; nil of one without.
    private static func rank(_ method: Method, _ module: ModuleShape) -> Int? {
        for (matrix, start) in zip(Method.matrices, method.start(module)) {
            if let axis = matrix.axes.firstIndex(of: .rank), axis < start.shape.count { return start.shape[axis] }
        }
        return nil
    }

    private static func mismatch(
        _ key: String, _ configured: String, _ stored: String, _ path: String, _ file: AdapterFile,
        at place: Failure.Place?
    ) -> Failure {
        .input(
            "`\(key)` is not that of the file to start from", at: place,
            expected: "\(stored), as \(file.path) has it of `\(path)`", got: configured,
            advice: "put the file's value there, or start without the file")
    }
}
