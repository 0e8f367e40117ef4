import Cascade
import Optimization

/// What a run will take of memory, in bytes, by part.
///
/// Weights: parameters times the bytes of their dtype; those that stay in a mapped file are told apart, for the system
/// can drop and read them again. What is trained: ``addTrained(_:_:)``.
///
/// Activations are counted per position of a feature map, in units of the level's width (source: what each operator
/// keeps for its backward pass). Frozen, a residual block keeps its input, the normalised convolution's input and the
/// four-fold expansion, 6; attention keeps its input, queries, keys, values, their joined copies and the result, 8; a
/// feed-forward block 5; a timestep block nothing. A trained weight makes each product keep its input too: 12, 10, 10
/// and 1. With checkpointing a residual block and those behind it up to the next keep one input together, and one such group
/// at a time is computed in full. The picture encoders keep nothing, and hold about 40 numbers a pixel at once; trained, EfficientNetV2-S takes about
/// 780 numbers a pixel: 560 that it keeps (three tensors for each convolution with batch norm and SiLU, two without)
/// and what its backward pass holds beside them.
///
/// The 40, and what the program takes by itself, are set on LoRA runs of the tiny model at 128 and 512 pixels, the
/// 780 on a ControlNet of the tiny model at 128 and 256. Other runs, without previews, came out at these shares of
/// the measured peak of RssAnon + RssShmem: a LoRA at 384 pixels and rank 32 0.96, one with a token on a Stage C of
/// 44 million parameters 1.03; that stage whole 1.03, with a running mean too; ControlNets 0.97 to 1.02; a Stage B of
/// 13 million parameters whole 0.93, with a running mean 0.97, with previews 0.83; the tiny stage whole 1.03 to 1.12
/// at 512 pixels, and 1.27 with 16 pictures of 256, whose encoding has given its memory back by then. No larger model
/// has been measured.
struct MemoryEstimate {
    struct Part {
        let name: String
        let bytes: Int
        /// Whether these bytes are pages of a mapped file, which count as nobody's.
        var isMapped = false
    }

    private(set) var parts: [Part] = []

    var bytes: Int { parts.reduce(0) { $0 + $1.bytes } }
    var mapped: Int { parts.filter(\.isMapped).reduce(0) { $0 + $1.bytes } }

    /// What the program and libtorch take by themselves.
    static let program = 92 << 20

    mutating func add(_ name: String, _ bytes: Int, isMapped: Bool = false) {
        if bytes > 0 { parts.append(Part(name: name, bytes: bytes, isMapped: isMapped)) }
    }

    /// Weights, gradients, the optimizer's state and the running mean of what is trained.
    ///
    /// Steps within the backward pass have the gradients of one block at a time, for which the largest four tensors stand;
    /// parts of bfloat16 gradients are added up in float32; and a bfloat16 tensor is stepped as float32, with its gradient.
    mutating func addTrained(_ shapes: [[Int]], _ run: RunConfiguration) {
        let counts = shapes.map { $0.reduce(1, *) }
        let (parameters, size) = (counts.reduce(0, +), run.weightsDType.size)
        let largest = counts.sorted(by: >).prefix(4)
        add("trained weights", size * parameters)
        add("gradients", size * (run.isFused ? largest.reduce(0, +) : parameters))
        if size < 4 {
            if run.accumulation > 1 { add("summed gradients", 4 * parameters) }
            add("step in float32", 8 * (largest.first ?? 0))
        }
        add("optimizer", shapes.reduce(0) { $0 + run.optimizer.stateBytes($1) })
        if run.average != nil { add("averaged weights", 4 * parameters) }
    }

    /// How a batch goes through a stage.
    struct Pass {
        /// Pictures in a micro batch.
        var batch: Int
        /// A picture's sides, in pixels.
        var imageSize: Int
        /// Of them for each of the latents.
        var reduction: Int
        var isCheckpointing: Bool
        var trainsWhole: Bool
        /// The first residual block whose input needs a gradient.
        var firstBlock = 0
        /// Share of zeros by level; empty for none. Where there are any, attention keeps what it looks at.
        var dropout: [Double] = []
        /// Modules with a LoRA: each keeps its input, and what came out of the thin product.
        var adapted: [String] = []
    }

    /// Bytes that a stage's forward pass keeps, in float32.
    static func activations(_ c: some StageConfiguration, _ pass: Pass) -> Int {
        let side = max(1, (pass.imageSize + pass.reduction - 1) / pass.reduction / c.patchSize)
        let tokens = pass.trainsWhole ? [12, 1, 10, 10] : [6, 0, 8, 5]
        let units: [Character: Int] = ["C": tokens[0], "T": tokens[1], "A": tokens[2], "F": tokens[3]]
        let text = 77 + 2 * c.clipSequence
        var (kept, largest, index) = (0, 0, 0)
        for row in 0...1 {
            for step in 0..<c.levels {
                let level = row == 0 ? step : c.levels - 1 - step
                let halvings = c.switchLevel.map { $0.prefix(level).filter(\.self).count } ?? level
                let positions = pass.batch * max(1, side >> halvings) * max(1, side >> halvings)
                let (width, own) = (c.hidden[level], positions / pass.batch)
                let isDropping = pass.dropout.indices.contains(level) && pass.dropout[level] > 0
                // After softmax, what it is multiplied by, and the product: [B, heads, N, N + T] each.
                let looks = isDropping ? 3 * 4 * c.heads[level] * positions * (own + text) : 0
                let runs = c.blocks[row][step] * c.blockRepeat[row][step]
                for _ in 0..<runs {
                    var group = 0
                    for (position, letter) in c.levelConfiguration[level].enumerated() {
                        if letter == "C" { (index, group) = (index + 1, 0) }
                        guard index > pass.firstBlock else { continue }
                        let condition = letter == "A" ? 2 * text * pass.batch : 0
                        let whole =
                            4 * width * ((units[letter] ?? 0) * positions + condition) + (letter == "A" ? looks : 0)
                        group += whole
                        let isFirst = position == 0 || letter == "C"
                        kept += pass.isCheckpointing ? isFirst ? 4 * width * positions : 0 : whole
                        largest = max(largest, pass.isCheckpointing ? group : whole)
                    }
                }
                // What a LoRA's first product keeps of its input.
                let inputs = pass.adapted.filter { $0.hasPrefix("\(row == 0 ? "down" : "up")_blocks.\(step).") }.count
                if !pass.isCheckpointing { kept += 4 * width * positions * inputs }
            }
        }
        return kept + largest
    }

    /// Bytes that the text tower keeps where gradients pass through it: per layer and token 14 widths and the
    /// attention's rows, or each layer's input where they are computed again; else what one layer holds at once.
    static func textActivations(_ text: CLIPTextConfiguration, _ pass: Pass, isTrained: Bool) -> Int {
        let layer = 4 * pass.batch * 77 * (14 * text.width + 77 * text.heads)
        guard isTrained else { return layer }
        return pass.isCheckpointing ? layer + 4 * pass.batch * 77 * text.width * text.layers : layer * text.layers
    }

    /// Bytes that EfficientNetV2-S holds at once, or keeps where it is trained; with checkpointing, by counting: the inputs
    /// of its blocks 52 numbers a pixel, the first convolution 18, the widest block with its backward pass 60.
    static func efficientNet(batch: Int, side: Int, isTrained: Bool, isCheckpointing: Bool = false) -> Int {
        4 * batch * side * side * (isTrained ? isCheckpointing ? 130 : 780 : 40)
    }

    /// Bytes that Stage A's encoder holds at once: at half the sides and half the width, a block's input, its normalised
    /// convolution's and the four-fold expansion.
    static func stageA(batch: Int, side: Int) -> Int {
        4 * batch * (side / 2) * (side / 2) * 6 * StageAConfiguration().hidden / 2
    }
}
