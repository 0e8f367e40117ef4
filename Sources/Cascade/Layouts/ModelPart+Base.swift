import Layers
import Settings

/// Which matrices of a frozen network `base_dtype` is about.
extension ModelPart {
    /// Whether there are any in this network.
    public var hasBaseMatrices: Bool { [.stageC, .stageB, .clipText].contains(self) }

    /// Whether a key lies in a stage's blocks or between its levels, or in the text encoder's layers. What a network begins
    /// and ends with, embeddings and mappers of conditions stay as they are.
    public func isOfBase(_ key: String) -> Bool {
        switch self {
        case .stageC, .stageB: Self.rows.contains { key.hasPrefix($0) }
        case .clipText: key.hasPrefix("text_model.encoder.layers.")
        default: false
        }
    }

    private static let rows = ["down", "up"].flatMap { way in
        ["\(way)_blocks.", "\(way)_downscalers.", "\(way)_upscalers.", "\(way)_repeat_mappers."]
    }

    /// How a store keeps the matrices of this network; nil keeps them as the rest of it.
    public func matrices(in dtype: BaseDType?) -> MatrixStorage? {
        dtype.map { MatrixStorage($0) { self.isOfBase($0) } }
    }
}

extension BaseDType: SettingReadable {}
