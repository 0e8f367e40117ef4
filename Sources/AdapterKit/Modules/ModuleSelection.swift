import Failures
import Layers
import Settings

/// The modules that an adapter changes: `module_filters` and `text_module_filters` of a configuration.
public struct ModuleSelection: Sendable {
    /// Parts of the paths of modules of Stage C.
    public var filters: [String]
    /// Parts of the paths of modules of the text encoder; none leave it alone.
    public var textFilters: [String]
    /// Where the filters are written.
    private var places: (stageC: Failure.Place?, text: Failure.Place?)

    static let key = "module_filters"
    static let textKey = "text_module_filters"

    /// - Parameters:
    ///   - filters: parts of the paths of modules of Stage C.
    ///   - textFilters: the same of the text encoder; none leave it alone.
    public init(_ filters: [String], text textFilters: [String] = []) {
        self.filters = filters
        self.textFilters = textFilters
    }

    /// Reads the keys of a training configuration.
    init(_ fields: inout Fields) throws {
        textFilters = try fields.value(Self.textKey, default: [])
        filters =
            try textFilters.isEmpty
            ? fields.required(Self.key, .notEmpty) : fields.value(Self.key, default: [])
        places = (fields.setting[Self.key]?.place, fields.setting[Self.textKey]?.place)
    }

    /// What a native file says it was trained on.
    init(describedIn file: AdapterFile) throws {
        func filters(_ key: String) throws -> [String] {
            try file.described(key).arrayValue?.compactMap(\.stringValue) ?? []
        }
        self.init(try filters(Self.key), text: try filters(Self.textKey))
    }

    /// The modules of a model that are selected, Stage C's before the text encoder's.
    /// - Throws: a failure of the input that shows what exists, where a filter matches nothing.
    func modules(of model: AdaptedModel) throws -> [(path: String, projection: Projection)] {
        let modules = try model.stageC.modules(matching: filters, at: places.stageC)
        guard !textFilters.isEmpty else { return modules }
        guard let tower = model.text?.tower else {
            throw Failure.run("an adapter of the text encoder needs one", at: places.text)
        }
        return try modules + tower.modules(matching: textFilters, at: places.text)
    }
}
