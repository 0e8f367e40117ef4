import AdapterKit
import Generation
import Loading
import Torch

extension [MaskedImage] {
    /// Images of one size as [B, 3, H, W] in 0...1.
    func pixels() throws -> Tensor { try ImageTensors.tensor(map(\.image)) }

    /// Their masks as [B, 1, H, W] in 0...1; nil where not all have one.
    func masks() throws -> Tensor? {
        let masks = compactMap(\.mask)
        guard masks.count == count, !isEmpty else { return nil }
        return try .concatenated(
            masks.map { try Tensor(plane: $0.values, height: $0.height, width: $0.width) }, dimension: 0)
    }
}

extension ControlFilter {
    /// The condition of images [B, 3, H, W] with their masks [B, 1, H, W], where there are any.
    func condition(of pixels: Tensor, _ masks: Tensor?, _ generator: Generator) throws -> ControlCondition {
        if let masks { return try self(pixels, masks: masks, generator: generator) }
        return try self(pixels, generator: generator)
    }
}
