import Cascade

/// What a pass of a part of a batch through a stage and back holds, by counting what each operator keeps.
///
/// The unit is a feature map of the level's width in the numbers that are computed in. A residual block keeps the
/// convolution's result before its norm and the four-fold expansion, 5; attention its input, the fused projection and
/// what it attended to, 5 and two of the text's tokens; a feed-forward block 5; a timestep block nothing. Where weights are
/// trained, convolutions and products keep their inputs too: 11 and the skip, 6, 10 and 1. Each of them with a
/// LoRA keeps its input. The backward pass holds the gradients of one four-fold expansion and of its input beside that, 9.
///
/// With checkpointing the input of each residual block is kept, and one block with those up to the next is held in full.
struct StageActivations {
    /// How a batch goes through a stage.
    struct Pass {
        /// Images in a part of a batch.
        var batch = 1
        /// An image's sides, in pixels.
        var imageSize = 0
        /// Of them for each of the latents.
        var reduction = 1
        var isCheckpointing = false
        /// Whether the stage itself is trained.
        var trainsWhole = false
        /// Bytes of a number that is computed in.
        var numberSize = 4
        /// The first residual block whose input needs a gradient.
        var firstBlock = 0
        /// Whether a gradient goes to the text, through every attention.
        var trainsText = false
        /// Modules with a LoRA.
        var adapted: [String] = []
    }

    /// What all blocks keep until they are passed in the backward pass.
    private(set) var kept = 0
    /// What comes to that of the one block that is under way.
    private(set) var passing = 0

    var bytes: Int { kept + passing }

    init(_ c: any StageConfiguration, _ pass: Pass) {
        let maps = StageMaps(
            c, batch: pass.batch, sides: (pass.imageSize, pass.imageSize), reduction: pass.reduction,
            numberSize: pass.numberSize)
        let text = Double(77 + 2 * c.clipSequence)
        var adapted: [Substring: Set<Substring>] = [:]
        for module in pass.adapted {
            let names = module.split(separator: ".", maxSplits: 3)
            guard names.count == 4 else { continue }
            let block = module[..<(names[2].endIndex)]
            adapted[block, default: []].insert(names[3])
        }
        var isLive = pass.trainsWhole || pass.isCheckpointing
        var index = 0
        for (row, way) in ["down_blocks", "up_blocks"].enumerated() {
            for step in 0..<c.levels {
                let level = row == 0 ? step : c.levels - 1 - step
                let letters = Array(c.levelConfiguration[level])
                let map = Double(maps.bytes(level))
                let share = text / Double(maps.tokens(level))
                for _ in 0..<c.blockRepeat[row][step] {
                    var group = 0.0
                    for position in 0..<c.blocks[row][step] * letters.count {
                        let letter = letters[position % letters.count]
                        let parts = adapted["\(way).\(step).\(position)"[...]] ?? []
                        if letter == "C" {
                            isLive = isLive || index >= pass.firstBlock && pass.adapted.isEmpty && !pass.trainsText
                            index += 1
                        }
                        isLive = isLive || !parts.isEmpty || letter == "A" && pass.trainsText
                        guard isLive else { continue }
                        let skip = row == 1 && step > 0 && position == 0 ? 1.0 : 0
                        let bytes = map * Self.units(letter, parts, text: share, skip: skip, pass.trainsWhole)
                        let begins = letter == "C" || position == 0
                        group = begins ? bytes : group + bytes
                        kept += Int(pass.isCheckpointing ? begins ? map : 0 : bytes)
                        passing = max(passing, Int((pass.isCheckpointing ? group : 0) + 9 * map))
                    }
                }
            }
        }
    }

    /// Maps that a block keeps.
    /// - Parameters:
    ///   - parts: those of its products that have a LoRA.
    ///   - text: the text's tokens as a share of the map's own.
    ///   - skip: maps that come in from the way down.
    private static func units(
        _ letter: Character, _ parts: Set<Substring>, text: Double, skip: Double, _ trainsWhole: Bool
    ) -> Double {
        if trainsWhole {
            return switch letter {
            case "C": 11 + skip
            case "A": 6 + 3 * text
            case "T": 1
            default: 10
            }
        }
        func isAdapted(_ ends: String...) -> Bool { parts.contains { part in ends.contains { part.hasSuffix($0) } } }
        let products = (isAdapted("channelwise.0") ? 1 + skip : 0) + (isAdapted("channelwise.4") ? 4 : 0)
        switch letter {
        case "C": return 5 + products + (isAdapted("depthwise") ? 1 : 0)
        case "A":
            return 5 + 2 * text + (isAdapted("to_q", "to_k", "to_v", "in_proj") ? 1 + text : 0)
        case "T": return 0
        default: return 5 + products
        }
    }
}
