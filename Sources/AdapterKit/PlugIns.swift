import Failures
import Models
import Settings

/// The filters and kinds of adapter that a program offers: an explicit list, nothing is found by itself.
public struct PlugIns: Sendable {
    /// The filters, by whose names configurations ask for them.
    public let filters: [any ControlFilter.Type]
    /// Those that a configuration of adapters can ask for.
    public let adapters: [any AdapterKind]

    /// - Parameters:
    ///   - filters: no two of one name.
    ///   - adapters: no two of one name.
    public init(filters: [any ControlFilter.Type], adapters: [any AdapterKind]) {
        self.filters = filters
        self.adapters = adapters
    }

    /// The same lists with more filters and kinds, which take the place of those of the same name.
    public func adding(filters more: [any ControlFilter.Type] = [], adapters kinds: [any AdapterKind] = []) -> PlugIns {
        let (filterNames, kindNames) = (Set(more.map { $0.name }), Set(kinds.map(\.name)))
        return PlugIns(
            filters: filters.filter { !filterNames.contains($0.name) } + more,
            adapters: adapters.filter { !kindNames.contains($0.name) } + kinds)
    }

    /// The models that are known by name: the official ones, then those of the filters; of a name the first alone.
    public var models: [PublishedModel] {
        var names: Set<String> = []
        return (PublishedModel.official + filters.flatMap { $0.models }).filter { names.insert($0.name).inserted }
    }

    /// Every kind of adapter: those that are registered, and ControlNets.
    public var kinds: [any AdapterKind] { adapters + [ControlNetKind()] }

    /// The kinds that a native file holds, in the order of the list.
    /// - Throws: a failure of the input where the file names no kind, or one that is unknown.
    public func kinds(of file: AdapterFile) throws -> [any AdapterKind] {
        let known = kinds.map(\.name)
        guard !file.kinds.isEmpty, !file.kinds.contains(where: { !known.contains($0) }) else {
            throw Failure.input(
                "the adapter is of no kind that this program knows", at: .init(file.path),
                expected: known.joined(separator: ", "), got: file.kinds.first { !known.contains($0) } ?? "none")
        }
        return kinds.filter { file.kinds.contains($0.name) }
    }

    /// What the configuration asks of each kind of adapter.
    /// - Throws: a failure of the input that names the nearest method, where `adapter_method` is none's.
    public func plans(_ fields: inout Fields) throws -> [AdapterPlan] {
        let methods = adapters.flatMap(\.methods)
        if !methods.isEmpty, let method: String = try fields.optional(Self.methodKey), !methods.contains(method) {
            throw Failure.input(
                "there is no method of this name", at: fields.setting[Self.methodKey]?.place,
                expected: methods.joined(separator: ", "), got: method,
                advice: nearestName(to: method, among: methods).map { "did you mean `\($0)`?" })
        }
        return try adapters.compactMap { kind in
            var plan = try kind.plan(&fields)
            plan?.kind = kind.name
            return plan
        }
    }

    /// What becomes of a file that a configuration starts from: the adapters that it holds, in the order of the kinds, then
    /// those that the configuration asks for besides.
    /// - Returns: how each is made, and what is said of it.
    /// - Throws: a failure of the input where the file and the configuration say different things.
    public func continuations(
        of file: AdapterFile, by plans: [AdapterPlan], _ model: AdaptedModel
    ) throws -> [(continuation: AdapterContinuation, remark: String?)] {
        let held = try kinds(of: file).filter { kind in adapters.contains { $0.name == kind.name } }
        var all = try held.map { kind -> (continuation: AdapterContinuation, remark: String?) in
            let plan = plans.first { $0.kind == kind.name }
            if let continuation = try plan?.continuation?(file, model) {
                return (continuation, continuation.added.map { "\(kind.name): the file lacks \($0), which is added" })
            }
            let asItIs = AdapterContinuation(parts: try kind.parts(of: file), added: nil) { _ in
                guard let adapter = try kind.read(file, for: model.networks) else {
                    throw Failure.input("there is nothing for this network in the adapter", at: .init(file.path))
                }
                plan?.settle(adapter)
                return adapter
            }
            let unasked = "\(kind.name): the file's are trained on, which the configuration does not speak of"
            return (asItIs, plan == nil ? unasked : nil)
        }
        for plan in plans where !held.contains(where: { $0.name == plan.kind }) {
            let new = AdapterContinuation(parts: try plan.parts(model), added: nil) { try plan.make(model, $0) }
            all.append((new, "\(plan.kind): the file has none, they are begun anew"))
        }
        return all
    }

    /// The key of a configuration that chooses among the methods for modules.
    static let methodKey = "adapter_method"

    /// The keys of all kinds that say how adapters are trained, and nothing of what the loss is measured on.
    public var trainingKeys: Set<String> { Set(adapters.flatMap { $0.rateKeys + $0.trainingKeys }) }

    /// What a file changes in the official checkpoints, of whatever kind it is.
    /// - Throws: a failure of the input where a kind is unknown or cannot become part of a base.
    public func changes(in file: AdapterFile) throws -> [WeightChange] {
        let changes = try kinds(of: file).flatMap { try $0.changes(in: file) ?? [] }
        guard !changes.isEmpty else {
            throw Failure.input("the adapter changes nothing", at: .init(file.path), got: file.kinds[0])
        }
        return changes
    }

    /// The adapters that a native file holds for some networks.
    /// - Returns: those, and what has no place in the networks, for people.
    /// - Throws: a failure of the input where the file holds nothing for them, or does not fit.
    public func adapters(
        in file: AdapterFile, for networks: AdaptedNetworks
    ) throws -> (adapters: [any Adapter], leftOut: [String]) {
        var (found, leftOut): ([any Adapter], [String]) = ([], [])
        for kind in try kinds(of: file) {
            if let adapter = try kind.read(file, for: networks) {
                found.append(adapter)
                if let rest = adapter.leftOut { leftOut.append(rest) }
            } else {
                leftOut.append(kind.name)
            }
        }
        guard !found.isEmpty else {
            throw Failure.input(
                "there is nothing for this network in the adapter", at: .init(file.path),
                got: file.kinds.joined(separator: ", "))
        }
        return (found, leftOut)
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
