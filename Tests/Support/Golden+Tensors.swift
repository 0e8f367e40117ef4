import JSON
import Layers
import Torch

extension Golden.Tensor {
    /// The tensor in libtorch's hands.
    public func made() throws -> Torch.Tensor {
        switch elements {
        case .float32(let values): try Torch.Tensor(values, shape: shape)
        case .int64(let values): try Torch.Tensor(values.map(Int.init), shape: shape)
        }
    }
}

extension Golden {
    /// The tensors of a part as a network takes its weights from a file.
    public func parameters(
        _ part: String, ignoring: @escaping (String) -> Bool = { _ in false }
    ) -> any ParameterSource {
        let stored = self.part(part)
        return StoredParameters(
            name: path, available: Array(stored.keys), ignoring: ignoring, lookUp: { try stored[$0]?.made() })
    }

    /// A tensor drawn from its name for each of the shapes, by key, that the golden's `shapes` (JSON) lists.
    public func drawnTensors() throws -> [(name: String, tensor: Torch.Tensor)] {
        try (JSON.parse(metadata["shapes"] ?? "{}", file: path).objectValue ?? .init()).map { member in
            let shape = member.value.arrayValue?.compactMap(\.intValue) ?? []
            return (member.key, try Torch.Tensor(drawn(member.key, shape: shape), shape: shape))
        }
    }

    /// Every parameter drawn from its name, and batch norms' statistics by their layer's scale in this file.
    public var drawnParameters: any ParameterSource { DrawnByName(golden: self) }
}

private struct DrawnByName: ParameterSource {
    let golden: Golden

    func value(_ key: String, shape: [Int], initial: Initializer) throws -> Torch.Tensor {
        try Torch.Tensor(golden.drawn(key, shape: shape), shape: shape)
    }

    func finish() throws {}
}
