import Cascade
import Layers
import Weights

extension GenerationPipeline {
    /// The peak of memory that requests will take on the CPU, in bytes, and where.
    ///
    /// Weights: the bytes of their files, whose pages count while they are mapped, or those of a copy where they are
    /// converted: the pages it was made of are given back. Activations: a block holds about eleven maps of its level's width at
    /// once, of them eight the two sides of its four-fold expansion; of Stage A, which takes some rows at a time, two and a
    /// half maps are there. The outermost level decides, which of Stage A lies at half an image's sides. Of a single image Stage
    /// C has both halves of guidance at once. The allocator keeps up to 95 MiB beside them. What the program and libtorch take by
    /// themselves was measured.
    /// Images of 512 to 1024 pixels, with Stage C of 94 M, took 4 % less to 4 % more; one of 256 pixels 8 % less in bfloat16.
    func peakMemory(_ requests: [ImageRequest]) throws -> (bytes: Int, stage: String) {
        let files = configuration.models
        let pixels = requests.map { $0.size.width * $0.size.height }.max() ?? 0
        func maps(_ positions: Int, _ width: Int) -> Int { 11 * 4 * positions * width * configuration.batch }
        let halves = configuration.batch == 1 ? 2 : 1
        let stageC = try files.stageCArchitecture()
        let keysAndValues = 4 * stageC.keysAndValues(tokens: CLIPTokenizer.length + 2 * stageC.clipSequence)
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
                try loading.bytes(.stageC, files.stageC?.weights) + adapters
                    + halves * maps(latents ?? 0, stageC.hidden[0]) + 2 * configuration.batch * keysAndValues,
                "Stage C"
            ))
        if configuration.decoder == .stages {
            let stageA = try loading.weights(.stageA, files.stageA)
            let outermost = try StageAConfiguration(of: stageA).outermostWidth
            let decoding = 5 * 4 * (pixels / 4) * outermost / 2
            let sampling = try maps(pixels / 64, files.stageBArchitecture().hidden[0])
            let kept = min(95 << 20, max(decoding, sampling))
            peaks.append(
                (
                    try loading.bytes(.stageB, files.stageB?.weights) + loading.bytes(stageA)
                        + max(decoding, sampling) + kept, "Stages B and A"
                ))
        }
        let dtype = try loading.computeDType(
            loading.dtype(of: loading.weights(.stageC, files.stageC?.weights, mayBeQuantised: true)))
        let program = Self.program + (dtype == .bfloat16 ? 50 << 20 : 0)
        if configuration.keepsNetworks {
            return (program + peaks.reduce(0) { $0 + $1.bytes }, "all networks together")
        }
        let largest = peaks.max { $0.bytes < $1.bytes }
        return (program + (largest?.bytes ?? 0), largest?.stage ?? "")
    }

    /// What the program and libtorch take by themselves, pages of libraries among them; oneDNN takes 50 MiB more for
    /// products in bfloat16.
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
            return sum + (isCode || entry.dtype == dtype ? entry.byteCount : entry.count * dtype.size)
        }
    }
}
