import AdapterKit

extension LoRA {
    public static func changes(in file: AdapterFile) throws -> [WeightChange]? {
        guard file.kinds.contains(kind) else { return nil }
        return try LoRAModule.all(in: file).map { module in
            .lowRank(.init(path: module.path, up: try module.up(), down: try module.down(), scale: module.scale))
        }
    }
}
