import Cascade

/// What a pass through a stage holds that leaves nothing for gradients, as previews and validation make it.
///
/// One block is there at a time, beside what the way down has left for the way up. At its widest a residual or feed-forward
/// block has its input, the convolution's result before and after its norm and the four-fold expansion twice, 11 maps of its
/// level, and 2 more where a skip comes in; attention has its input twice, the fused projection, the attended and its result, 8.
struct StageForward {
    let bytes: Int

    init(_ c: any StageConfiguration, _ maps: StageMaps) {
        var (kept, most) = (0, 0)
        for row in 0...1 {
            for step in 0..<c.levels {
                let level = row == 0 ? step : c.levels - 1 - step
                let letters = c.levelConfiguration[level]
                let skip = row == 1 && step > 0 ? 2 : 0
                let units = letters.contains { $0 == "C" || $0 == "F" } ? 11 + skip : letters.contains("A") ? 8 : 3
                most = max(most, kept + units * maps.bytes(level))
                if row == 0 { kept += maps.bytes(level) }
            }
        }
        bytes = most
    }
}
