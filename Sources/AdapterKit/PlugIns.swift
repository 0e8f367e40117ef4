import Failures
import Models
import Settings

/// The filters and adapters that a program offers: an explicit list, nothing is found by itself.
public struct PlugIns: Sendable {
    public let filters: [any ControlFilter.Type]
    public let adapters: [any Adapter.Type]

    public init(filters: [any ControlFilter.Type], adapters: [any Adapter.Type]) {
        self.filters = filters
        self.adapters = adapters
    }

    /// The same list with more filters, which take the place of those of the same name.
    public func adding(filters more: [any ControlFilter.Type]) -> PlugIns {
        let names = Set(more.map { $0.name })
        return PlugIns(filters: filters.filter { !names.contains($0.name) } + more, adapters: adapters)
    }

    /// The models that are known by name: the official ones, then those of the filters; of a name the first alone.
    public var models: [PublishedModel] {
        var names: Set<String> = []
        return (PublishedModel.official + filters.flatMap { $0.models }).filter { names.insert($0.name).inserted }
    }

    /// What a file changes in the official checkpoints, of whatever kind it is.
    /// - Throws: a failure of the input where a kind is unknown or cannot become part of a base.
    public func changes(in file: AdapterFile) throws -> [WeightChange] {
        let known = kinds.map { $0.kind }
        guard let first = file.kinds.first, !file.kinds.contains(where: { !known.contains($0) }) else {
            throw Failure.input(
                "the adapter is of no kind that this program knows", at: .init(file.path),
                expected: known.joined(separator: ", "), got: file.kinds.first { !known.contains($0) } ?? "none")
        }
        let changes = try kinds.flatMap { try $0.changes(in: file) ?? [] }
        guard !changes.isEmpty else {
            throw Failure.input("the adapter changes nothing", at: .init(file.path), got: first)
        }
        return changes
    }

    /// A filter by its name and parameters.
    /// - Throws: a failure of the input that names the nearest filter there is.
    public func filter(
        _ name: String, parameters: Setting, at place: Failure.Place? = nil
    ) throws -> any ControlFilter {
        guard let type = filters.first(where: { $0.name == name }) else {
            let names = filters.map { $0.name }
            throw Failure.input(
                "there is no filter of this name", at: place, expected: names.joined(separator: ", "), got: name,
                advice: nearestName(to: name, among: names).map { "did you mean `\($0)`?" })
        }
        return try type.make(parameters)
    }
}
