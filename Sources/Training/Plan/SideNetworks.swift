import Cascade

/// What passes through the networks around a stage hold, in bytes.
enum SideNetworks {
    /// The text encoder's pass: per layer and token 14 widths, of which four belong to the inner ones, and the attention's
    /// rows. Where gradients go through it each layer keeps that, or its input where it is computed again.
    static func text(
        _ text: CLIPTextConfiguration, batch: Int, numberSize: Int, isTrained: Bool, isCheckpointing: Bool
    ) -> Int {
        let tokens = numberSize * batch * text.positions
        let layer = tokens * (14 * text.width + text.positions * text.heads)
        guard isTrained else { return layer }
        return isCheckpointing ? layer + tokens * text.width * text.layers : layer * text.layers
    }

    /// EfficientNetV2-S holds at once about 28 numbers a pixel of the image; measured on the encoder's pass.
    static func efficientNet(batch: Int, side: Int, numberSize: Int = 4) -> Int {
        28 * numberSize * batch * side * side
    }

    /// EfficientNetV2-S that is trained keeps 309 numbers a pixel, two tensors for each convolution with SiLU, one without,
    /// and its backward pass holds about 29 beside them. With checkpointing the inputs of its blocks are 52, the first
    /// convolution 12, the widest block with its backward pass 45.
    static func trainedEfficientNet(batch: Int, side: Int, numberSize: Int, isCheckpointing: Bool) -> Int {
        (isCheckpointing ? 109 : 338) * numberSize * batch * side * side
    }

    /// Stage A's encoder or decoder takes some rows at a time, and holds two and a half maps of its outermost level, at half the
    /// sides.
    static func stageA(_ c: StageAConfiguration, sides: (height: Int, width: Int)) -> Int {
        5 * 4 * (sides.height / 2) * (sides.width / 2) * c.outermostWidth / 2
    }

    /// The previewer's pass holds at its last doubling the input, which is half of what comes out, and that three times:
    /// libtorch brings it to a layout of its own and back.
    static func previewer(_ c: Previewer.Configuration, latents: (height: Int, width: Int)) -> Int {
        4 * (8 * latents.height) * (8 * latents.width) * (c.hidden / 4) * 7 / 2
    }
}
