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
        /// The side of a ControlNet's condition that goes through a trained EfficientNet; nil without one.
        var trunkSide: Int?
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
        return memory
    }

    private func addPass(_ run: RunConfiguration, to memory: inout MemoryEstimate) {
        let activations = activations(run)
        // A stage's gradients come as its activations go; other trained networks have theirs beside them.
        let gradients = trainsWhole && run.accumulation == 1 && !run.isFused ? memory.bytes(named: "gradients") : 0
        memory.add("activations", max(0, activations.kept - gradients) + activations.passing, from: .update)
        let trunk =
            pass.trunkSide.map { side in
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
        if !trainsWhole, run.baseDType?.isQuantised != true, run.dtype != computeDType(run) {
            memory.add("converted matrix", 4 * width * width * computeDType(run).size, from: .update)
        }
        // Latents are made image by image, Stage B's conditions of a part at once.
        let encoding = max(
            SideNetworks.efficientNet(batch: run.stage == .b ? run.microBatchSize : 1, side: run.data.imageSize),
            run.stage == .b ? SideNetworks.stageA(models.stageA, batch: 1, side: run.data.imageSize) : 0)
        memory.add("image encoding", encoding, from: .update)
        memory.add(
            "kept by the allocator", min(MemoryEstimate.mostWaiting, activations.bytes + trunk + encoding),
            from: .update)
    }

    /// The widest level's.
    private var width: Int {
        switch models.network {
        case .stageC(let stageC): stageC.configuration.hidden.max() ?? 0
        case .stageB(let architecture, _): architecture.hidden.max() ?? 0
        }
    }

    /// What the stage computes in.
    private func computeDType(_ run: RunConfiguration) -> DType {
        models.loading.computeDType(trainsWhole ? run.weightsDType : run.dtype)
    }

    private func activations(_ run: RunConfiguration) -> StageActivations {
        var stage = StageActivations.Pass()
        (stage.batch, stage.imageSize, stage.reduction) = (run.microBatchSize, run.data.imageSize, models.reduction)
        (stage.isCheckpointing, stage.trainsWhole) = (run.isCheckpointing, trainsWhole)
        stage.numberSize = computeDType(run).size
        stage.converts = trainsWhole && run.weightsDType != computeDType(run)
        (stage.firstBlock, stage.trainsText, stage.adapted) = (pass.firstBlock, pass.trainsText, pass.adapted)
        return switch models.network {
        case .stageC(let stageC): StageActivations(stageC.configuration, stage)
        case .stageB(let architecture, _): StageActivations(architecture, stage)
        }
    }

    /// Samples that wait to be drawn, that wait in buckets, and that are on their way to a batch; the images of a batch, as
    /// they are and as numbers, those that are kept from epoch to epoch, and what is decoded at once.
    private func addData(_ run: RunConfiguration, to memory: inout MemoryEstimate) {
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
        memory.add("data", waiting + onTheirWay + inBuckets + own(run.batchSize) * image + kept, from: .update)
        memory.add("images", 4 * run.microBatchSize * image, from: .update)
        memory.add("decoding", options.decodingBytes(largest: data.read.largestDecoding), from: .update)
    }
}
