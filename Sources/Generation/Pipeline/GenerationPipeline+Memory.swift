import Cascade
import Layers
import Weights

extension GenerationPipeline {
    /// The peak of memory that requests will take on the CPU, in bytes, and where.
    ///
    /// Weights: the bytes of their files, whose pages count while they are mapped, and those of a copy where they are
    /// converted. Activations: a block holds about eleven maps of its level's width at once, of them eight the two sides of
    /// its four-fold expansion; the outermost level decides, which of Stage A lies at half an image's sides. The
    /// allocator keeps up to 95 MiB beside them. What the program and libtorch take by themselves was measured. On runs
    /// of 256 to 1024 pixels, and of 768 with the published sizes in bfloat16, this came out within 3 % of the peak.
    func peakMemory(_ requests: [ImageRequest]) throws -> (bytes: Int, stage: String) {
        let files = configuration.models
        let pixels = requests.map { $0.size.width * $0.size.height }.max() ?? 0
        func maps(_ positions: Int, _ width: Int) -> Int { 11 * 4 * positions * width * configuration.batch }
        let stageC = try files.stageCArchitecture()
        let latents = requests.map { $0.size.latents(of: stageC) }.map { $0.height * $0.width }.max()
        var peaks: [(bytes: Int, stage: String)] = []
        let text = try files.text?.folder()
        let tower = try text.map { try Checkpoint($0).tensors(of: .clipText, mayBeQuantised: true) }
        peaks.append((tower.map { loading.bytes($0, .clipText) } ?? 0, "the text encoder"))
        let adapters = try configuration.adapters.reduce(0) { sum, use in
            try Tensors.open(use.file).entries.reduce(sum) { $0 + 4 * $1.count }
        }
        peaks.append(
            (
                try loading.bytes(.stageC, files.stageC?.weights) + adapters + maps(latents ?? 0, stageC.hidden[0]),
                "Stage C"
            ))
        if configuration.decoder == .stages {
            let stageA = try loading.weights(.stageA, files.stageA)
            let outermost = try StageAConfiguration(of: stageA).outermostWidth
            let decoding = maps(pixels / 4, outermost) / configuration.batch
            let sampling = try maps(pixels / 64, files.stageBArchitecture().hidden[0])
            let kept = min(95 << 20, max(decoding, sampling))
            peaks.append(
                (
                    try loading.bytes(.stageB, files.stageB?.weights) + loading.bytes(stageA)
                        + max(decoding, sampling) + kept, "Stages B and A"
                ))
        }
        if configuration.keepsNetworks {
            return (Self.program + peaks.reduce(0) { $0 + $1.bytes }, "all networks together")
        }
        let largest = peaks.max { $0.bytes < $1.bytes }
        return (Self.program + (largest?.bytes ?? 0), largest?.stage ?? "")
    }

    /// What the program and libtorch take by themselves, pages of libraries among them.
    private static let program = 160 << 20
}

extension ModelLoading {
    func bytes(_ part: ModelPart, _ source: ModelFiles.Source?) throws -> Int {
        try bytes(weights(part, source, mayBeQuantised: true), part)
    }

    /// What weights take once they are loaded.
    /// - Parameter part: whose matrices may be kept otherwise; nil for a network that stays as it is.
    func bytes(_ weights: any NamedTensors, _ part: ModelPart? = nil) -> Int {
        let dtype = dtype(of: weights)
        let quantised = QuantisedMatrix.keys(in: weights)
        let matrices = quantised.isEmpty ? part?.matrices(in: files.baseDType) : nil
        return weights.entries.reduce(0) { sum, entry in
            if let matrices, matrices.dtype.isQuantised, matrices.covers(entry.name, entry.shape) {
                return sum + QuantisedMatrix.byteCount(of: entry.shape, as: matrices.dtype)
            }
            let isCode = quantised[entry.name] != nil || QuantisedMatrix.isPiece(entry.name)
            let isKept = isCode || entry.dtype == dtype
            return sum + entry.byteCount + (isKept ? 0 : entry.count * dtype.size)
        }
    }
}
