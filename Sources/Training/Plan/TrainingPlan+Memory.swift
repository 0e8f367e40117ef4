import Torch

extension TrainingPlan {
    /// What a recipe says of the pass that it makes through the network and back.
    struct Pass {
        /// Modules with a LoRA.
        var adapted: [String] = []
        /// The first residual block whose input needs a gradient.
        var firstBlock = 0
        /// Whether a gradient goes to the text encoder.
        var trainsText = false
        /// What a ControlNet with an EfficientNet makes of an image; nil without one.
        var control: Control?
    }

    /// A ControlNet's condition and what comes of it, for one image.
    struct Control {
        /// Channels of the condition.
        let channels: Int
        /// Its sides, in pixels.
        let side: Int
        /// Numbers that the blocks get.
        let injected: Int

        /// Of the condition.
        var numbers: Int { channels * side * side }
    }

    /// What the run takes.
    var memory: MemoryEstimate { memory(of: run) }

    /// What it would take with other settings that save memory, its base the same.
    func memory(of run: RunConfiguration) -> MemoryEstimate {
        var memory = MemoryEstimate()
        memory.addProgram()
        for frozen in models.frozen {
            // A text encoder that lies in its file is there one layer at a time, but where gradients go back through it.
            if frozen.name == PlannedModels.base, run.sharesBase {
                memory.add("share of the base", models.shared.share(of: run.processes), from: .loaded)
                memory.add("two blocks of the base", models.shared.twoBlocks, from: .loaded)
                continue
            }
            if frozen.name == PlannedModels.base, let offload = run.offload {
                let waiting = models.shared.waiting(offload.count)
                memory.add(frozen.name, frozen.bytes - waiting.bytes, from: .loaded)
                memory.add("two blocks of the base", waiting.rows, from: .loaded)
                memory.pinned = waiting.pinned
                continue
            }
            let isPassing = frozen.name == "text" && frozen.isMapped && !pass.trainsText
            let bytes = isPassing ? frozen.bytes / max(1, models.textConfiguration.layers) : frozen.bytes
            memory.add(frozen.name, bytes, from: .loaded, isMapped: frozen.isMapped)
        }
        memory.addTrained(groups.flatMap(\.shapes), run)
        if run.sharesStage, !run.sharesBase {
            let block = models.shared.twoBlocks / 2
            let kept = block * run.weightsDType.size / DType.float32.size
            memory.add("two blocks of the stage", 2 * kept, from: .loaded)
            // As the passes leave them, and in a row of float32 to be added up.
            memory.add("gradients of a block", kept + block, from: .update)
        }
        addPass(run, to: &memory)
        addData(run, to: &memory)
        addPreview(run, to: &memory)
        addValidation(run, to: &memory)
        return memory
    }

    private func addPass(_ run: RunConfiguration, to memory: inout MemoryEstimate) {
        let activations = activations(run)
        // A stage's gradients come as its activations go; other trained networks have theirs beside them.
        let gradients = trainsWhole && run.accumulation == 1 && !run.isFused ? memory.bytes(named: "gradients") : 0
        memory.add("activations", max(0, activations.kept - gradients) + activations.passing, from: .update)
        let trunk =
            (pass.control?.side).map { side in
                SideNetworks.trainedEfficientNet(
                    batch: run.microBatchSize, side: side, numberSize: computeDType(run).size,
                    isCheckpointing: run.isCheckpointing)
            } ?? 0
        memory.add("trunk", trunk, from: .update)
        memory.add(
            "text activations",
            SideNetworks.text(
                models.textConfiguration, batch: run.microBatchSize, numberSize: run.dtype.size,
                isTrained: pass.trainsText, isCheckpointing: run.isCheckpointing), from: .update)
        memory.add("converted matrix", convertedMatrix(run), from: .update)
        let encoding = encoding(run, images: run.microBatchSize)
        memory.add("image encoding", encoding, from: .update)
        memory.add(
            MemoryEstimate.waiting, min(MemoryEstimate.mostWaiting, activations.bytes + trunk + encoding),
            from: .update)
    }

    /// A matrix that is kept otherwise than it is computed in, the largest.
    func convertedMatrix(_ run: RunConfiguration) -> Int {
        let kept = trainsWhole ? run.weightsDType : run.dtype
        guard run.baseDType?.isQuantised != true, kept != computeDType(run) else { return 0 }
        let width = models.configuration.hidden.max() ?? 0
        return 4 * width * width * computeDType(run).size
    }

    /// What the stage computes in.
    func computeDType(_ run: RunConfiguration) -> DType {
        models.loading.computeDType(trainsWhole ? run.weightsDType : run.dtype)
    }

    private func activations(_ run: RunConfiguration) -> StageActivations {
        var stage = StageActivations.Pass()
        (stage.batch, stage.imageSize, stage.reduction) = (run.microBatchSize, run.data.imageSize, models.reduction)
        (stage.isCheckpointing, stage.trainsWhole) = (run.isCheckpointing, trainsWhole)
        stage.numberSize = computeDType(run).size
        (stage.firstBlock, stage.trainsText, stage.adapted) = (pass.firstBlock, pass.trainsText, pass.adapted)
        return StageActivations(models.configuration, stage)
    }

    /// The images of a batch as numbers, and the data.
    private func addData(_ run: RunConfiguration, to memory: inout MemoryEstimate) {
        let side = run.data.imageSize
        memory.add("images", 4 * run.microBatchSize * side * side * 3, from: .update)
        addLoader(run, at: .update, to: &memory)
    }

    /// Samples that wait to be drawn, that wait in buckets, and that are on their way to a batch; the images of a batch, those
    /// that are kept from epoch to epoch, and what is decoded at once: the loader goes on at any moment.
    func addLoader(_ run: RunConfiguration, at moment: MemoryEstimate.Phase, to memory: inout MemoryEstimate) {
        let options = run.loaderOptions(seed: run.seed)
        // Before data is looked at it has no files' bytes.
        let sample = data.read.bytes / max(1, data.read.kept)
        let image = run.data.imageSize * run.data.imageSize * 3
        let waiting = min(sample * min(run.shuffleBuffer, data.kept), options.stream.bufferBytes)
        // Each of several processes decodes its share.
        func own(_ samples: Int) -> Int { (samples + run.processes - 1) / run.processes }
        let onTheirWay = min(options.samplesAhead * sample + own(options.samplesAhead) * image, options.bytesAhead)
        let inBuckets = run.data.buckets.buckets.count * run.batchSize * sample
        let kept = run.isCachingInMemory ? min(data.kept * image, RunConfiguration.cacheBytes) : 0
        memory.add(
            MemoryEstimate.data, waiting + onTheirWay + inBuckets + own(run.batchSize) * image + kept, from: moment)
        memory.add(MemoryEstimate.decoding, options.decodingBytes(largest: data.read.largestDecoding), from: moment)
    }
}
