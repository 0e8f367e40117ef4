import Cascade

/// What a run takes while it shows and measures how it is doing: ``PreviewGrid`` and ``ValidationSet``.
///
/// Networks are passed one after the other there, without gradients: of these passes the largest counts.
extension TrainingPlan {
    /// The samples of a preview, their rows, and the largest of the passes that make them.
    func addPreview(_ run: RunConfiguration, to memory: inout MemoryEstimate) {
        guard run.previewSteps != 0 else { return }
        let images = previewed
        let side = run.data.imageSize
        let image = side * side * 3
        memory.add("preview samples", images * image, from: .optimizer)

        // Image, latents, noised, predicted and sampled; then what there is of the others.
        let rows =
            5 + (pass.control != nil || run.stage == .b ? 1 : 0) + (run.comparesPreviews ? 1 : 0)
            + (run.average == nil ? 0 : 1)
        memory.add("preview images", rows * images * image, from: .preview)
        if run.average != nil, run.weightsDType.size < 4 {
            memory.add("weights that wait", memory.bytes(named: "trained weights"), from: .preview)
        }
        addConditions(run, images: images, joined: 0, at: .preview, to: &memory)
        // The grid has all rows once more.
        var passes = [(name: "grid", bytes: rows * images * image)]
        passes.append((name: "image encoding", bytes: encoding(run, images: images) + 4 * images * image))
        passes += self.passes(run, images: images, trunk: images)
        passes.append((name: "sampling", bytes: sampling(run, images: images, sides: (side, side))))
        for prompt in run.previewPrompts {
            let sides = prompt.size.map { ($0.height, $0.width) } ?? (side, side)
            passes.append((name: "sampling", bytes: sampling(run, images: 1, sides: sides)))
            passes.append((name: "decoding of latents", bytes: decoding(run, sides)))
        }
        passes.append((name: "decoding of latents", bytes: decoding(run, (side, side))))
        addLargest(passes, run, images: images, at: .preview, to: &memory)
    }

    /// The fixed triples, which are kept, and the largest of the passes that make and measure them.
    func addValidation(_ run: RunConfiguration, to memory: inout MemoryEstimate) {
        guard !run.validationPath.isEmpty else { return }
        let images = validationImages ?? ValidationSet.mostImages
        let batch = min(ValidationSet.batchSize, run.validationTriples)
        let (side, latents) = (run.data.imageSize, latents(run))
        memory.add("validation set", 4 * (images + run.validationTriples) * latents, from: .optimizer)
        memory.add("validation conditions", 4 * images * (pass.control?.numbers ?? 0), from: .optimizer)

        // Those of all images of one size, and of a batch of them.
        addConditions(run, images: images, joined: batch, at: .validation, to: &memory)
        // The images themselves are there until the set is.
        let making = images * side * side * 3 + encoding(run, images: 1) + 4 * side * side * 3
        addLargest(
            [(name: "image encoding", bytes: making)] + passes(run, images: batch, trunk: 1), run, images: 1,
            at: .validation, to: &memory)
    }

    /// How many samples a preview shows.
    private var previewed: Int {
        let known = run.validationPath.isEmpty ? (data.kept > 0 ? data.kept : nil) : validationImages
        return min(PreviewGrid.columns, known ?? PreviewGrid.columns)
    }

    /// Numbers of an image's latents.
    private func latents(_ run: RunConfiguration) -> Int {
        let side = (run.data.imageSize + models.reduction - 1) / models.reduction
        return side * side * models.configuration.inputs
    }

    /// What a ControlNet sees and makes of some images.
    /// - Parameter joined: of how many its injections are there once more.
    private func addConditions(
        _ run: RunConfiguration, images: Int, joined: Int, at moment: MemoryEstimate.Phase,
        to memory: inout MemoryEstimate
    ) {
        guard let control = pass.control else { return }
        let size = computeDType(run).size
        let seen = moment == .preview ? 4 * images * control.numbers : 0
        memory.add("conditions", seen + size * (images + joined) * control.injected, from: moment)
    }

    /// The passes of the stage and of what its conditions are made by.
    /// - Parameter trunk: images that a ControlNet's sees together.
    private func passes(_ run: RunConfiguration, images: Int, trunk: Int) -> [(name: String, bytes: Int)] {
        let (side, size) = (run.data.imageSize, computeDType(run).size)
        return [
            ("activations", forward(run, images: images, sides: (side, side)) + convertedMatrix(run)),
            (
                "text activations",
                SideNetworks.text(
                    models.textConfiguration, batch: images, numberSize: run.dtype.size, isTrained: false,
                    isCheckpointing: false)
            ),
            (
                "trunk",
                (pass.control?.side).map { SideNetworks.efficientNet(batch: trunk, side: $0, numberSize: size) } ?? 0
            ),
        ]
    }

    /// A step of sampling: of a single image Stage C has both halves of guidance in one batch, and what a condition makes of
    /// itself in either half is kept from step to step.
    private func sampling(_ run: RunConfiguration, images: Int, sides: (height: Int, width: Int)) -> Int {
        let (c, size) = (models.configuration, computeDType(run).size)
        let tokens = run.stage == .c ? CLIPTokenizer.length + 2 * c.clipSequence : c.clipSequence
        let maps = run.stage == .b ? stageMaps(run, images: images, sides: sides).bytes(0) : 0
        let kept = 2 * (images * size * c.keysAndValues(tokens: tokens) + maps)
        return forward(run, images: run.stage == .c && images == 1 ? 2 : images, sides: sides) + kept
            + convertedMatrix(run)
    }

    private func forward(_ run: RunConfiguration, images: Int, sides: (height: Int, width: Int)) -> Int {
        StageForward(models.configuration, stageMaps(run, images: images, sides: sides)).bytes
    }

    private func stageMaps(_ run: RunConfiguration, images: Int, sides: (height: Int, width: Int)) -> StageMaps {
        StageMaps(
            models.configuration, batch: images, sides: sides, reduction: models.reduction,
            numberSize: computeDType(run).size)
    }

    /// Latents are made image by image, Stage B's conditions of all at once.
    func encoding(_ run: RunConfiguration, images: Int) -> Int {
        let side = run.data.imageSize
        guard run.stage == .b else { return SideNetworks.efficientNet(batch: 1, side: side) }
        return max(
            SideNetworks.efficientNet(batch: images, side: side),
            SideNetworks.stageA(models.stageA, sides: (side, side)))
    }

    /// The pass that makes the latents of one image visible.
    private func decoding(_ run: RunConfiguration, _ sides: (height: Int, width: Int)) -> Int {
        guard run.stage == .c else { return SideNetworks.stageA(models.stageA, sides: sides) }
        func latents(_ pixels: Int) -> Int { (pixels + models.reduction - 1) / models.reduction }
        return SideNetworks.previewer(models.previewer, latents: (latents(sides.height), latents(sides.width)))
    }

    /// - Parameter images: that are encoded at the moment.
    private func addLargest(
        _ passes: [(name: String, bytes: Int)], _ run: RunConfiguration, images: Int, at moment: MemoryEstimate.Phase,
        to memory: inout MemoryEstimate
    ) {
        guard let largest = passes.max(by: { $0.bytes < $1.bytes }) else { return }
        memory.add(largest.name, largest.bytes, from: moment)
        memory.add("kept from an update", memory.passing - memory.bytes(of: moment), from: moment)
        // Blocks of other sizes than those that are asked for; and of convolutions' and images' memory what malloc keeps.
        let small = encoding(run, images: images) + 4 * images * run.data.imageSize * run.data.imageSize * 3
        memory.add(
            MemoryEstimate.waiting,
            min(MemoryEstimate.mostWaiting, largest.bytes) + min(MemoryEstimate.mostWaitingSmall, small), from: moment)
        addLoader(run, at: moment, to: &memory)
    }
}
