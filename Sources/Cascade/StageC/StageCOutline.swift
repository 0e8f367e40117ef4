import Layers

extension StageCConfiguration {
    /// The products that adapters can change, in the network's order.
    /// - Throws: a failure of the input where there can be no such network.
    public func modules() throws -> [ModuleShape] {
        let stageC = try StageC(self, ParameterStore(from: Placeholders()))
        return stageC.store.projections.map { ModuleShape($0.path, $0.projection) }
    }

    /// The sizes by the names that `model_version` has for them.
    public static let known: [(name: String, configuration: StageCConfiguration)] = ModelSize.all.compactMap { size in
        size.stageC.map { (size.name, $0) }
    }
}
