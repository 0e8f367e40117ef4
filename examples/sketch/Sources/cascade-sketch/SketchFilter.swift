import AdapterKit
import Settings
import Torch

/// A pencil sketch: the brightness of each pixel by that of its neighbourhood.
struct SketchFilter: ControlFilter {
    static let name = "SketchFilter"
    static let parameters = [
        FilterParameter("softness", type: "whole number", default: "8", "pixels that a stroke spreads over")
    ]
    let channels = 1
    let softness: Int

    init(parameters: inout Fields) throws {
        softness = try parameters.value("softness", default: 8, .within(1...64))
    }

    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let (height, width) = (images.size(2), images.size(3))
        let grey = try images.mean([1], keepingDimensions: true)  // [B, 1, H, W]
        let soft = try grey.resized(height: height / softness + 1, width: width / softness + 1, alignCorners: false)
            .resized(height: height, width: width, alignCorners: false)
        let sketch = try (grey / (soft + 0.01)).clamped(min: 0, max: 1)
        return ControlCondition(condition: sketch, preview: try sketch.repeated([1, 3, 1, 1]))
    }
}
