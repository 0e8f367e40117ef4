import AdapterKit
import ArgumentParser
import Failures
import Foundation
import Generation
import Images
import JSON
import Telemetry
import Torch
import Weights

/// One call of `generate` or `vary`: from plans to files.
struct ImageSession {
    private let options: ImageOptions
    private let plugIns: PlugIns
    /// One for each image.
    private let plans: [ImagePlan]

    init(_ options: ImageOptions, _ template: ImagePlan, _ plugIns: PlugIns) throws {
        (self.options, self.plugIns) = (options, plugIns)
        guard (1...10_000).contains(options.count) else {
            throw Failure.input("--count is out of range", expected: "1 to 10000", got: "\(options.count)")
        }
        guard (1...256).contains(options.batch) else {
            throw Failure.input("--batch is out of range", expected: "1 to 256", got: "\(options.batch)")
        }
        let prompts = try Self.prompted(template, options)
        if template.sweeps.isEmpty {
            plans = prompts.flatMap { plan in
                (0..<options.count).map { index in
                    var own = plan
                    own.seed = plan.seed &+ UInt64(index)
                    return own
                }
            }
            return
        }
        guard prompts.count == 1, options.count == 1 else {
            throw Failure.input("--sweep makes one grid", expected: "one prompt, and no --count")
        }
        guard template.sweeps.count <= 2 else {
            throw Failure.input("a grid has two sides", expected: "--sweep once or twice")
        }
        for sweep in template.sweeps { try sweep.check(template) }
        let cells = template.sweeps.reduce(1) { $0 * $1.values.count }
        let pixels = cells * template.size.width * template.size.height
        guard cells <= Sweep.most, pixels <= Image.defaultPixelLimit else {
            throw Failure.input(
                "--sweep asks for too large a grid",
                expected: "at most \(Sweep.most) cells and \(Image.defaultPixelLimit) pixels",
                got: "\(cells) cells, \(pixels) pixels")
        }
        let rows = template.sweeps.count == 2 ? template.sweeps[1].values.map(Optional.some) : [nil]
        plans = rows.flatMap { row in
            template.sweeps[0].values.map { column in
                let plan = template.sweeps[0].applied(column, to: prompts[0])
                return row.map { template.sweeps[1].applied($0, to: plan) } ?? plan
            }
        }
    }

    /// The plan with each prompt there is.
    private static func prompted(_ template: ImagePlan, _ options: ImageOptions) throws -> [ImagePlan] {
        guard let file = options.prompts else { return [template] }
        return try PromptLine.read(file).map { line in
            var plan = template
            plan.prompt = line.prompt
            if let negative = line.negative { plan.negative = negative }
            if let width = line.width { plan.size.width = width }
            if let height = line.height { plan.size.height = height }
            if let seed = line.seed { plan.seed = seed }
            if let guidance = line.guidance { plan.stageC.guidance = guidance }
            if let steps = line.steps { plan.stageC.steps = steps }
            guard plan.size.isPossible else {
                throw Failure.input(
                    "a prompt's size is out of range", at: .init(file),
                    expected: "sides of \(ImageSize.sides.lowerBound) to \(ImageSize.sides.upperBound) pixels",
                    got: "\(plan.size.width) x \(plan.size.height)")
            }
            return plan
        }
    }

    // MARK: Running

    func run() throws {
        let isGrid = !plans[0].sweeps.isEmpty
        try options.overwriting.check(
            [options.output] + [options.latents].compactMap(\.self),
            reading: [options.prompts, options.like, options.noise, plans[0].start, plans[0].mask, plans[0].variation]
                .compactMap(\.self) + plans[0].adapters.map(\.file)
                + plans[0].controlNets.flatMap { [$0.file, $0.image] })
        let device = try options.machine.prepared()
        var output = try ImageOutput(options.output, count: isGrid ? 1 : plans.count)
        let requests = try noised(requests())
        var configuration = plans[0].configuration(device: device)
        (configuration.batch, configuration.keepsNetworks) = (options.batch, options.keep)
        let pipeline = GenerationPipeline(configuration, plugIns)

        let console = Console.standardError(isQuiet: options.machine.quiet)
        if let remark = plans[0].remark { console.log(remark) }
        let now = { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
        var report = Report()
        var made: [GeneratedImage] = []
        var bar: ProgressBar?
        var hooks = GenerationHooks()
        hooks.now = now
        hooks.note = { console.log($0) }
        hooks.isStopped = { Interruption.isRequested }
        hooks.progress = { done, total, stage in
            if bar == nil { bar = ProgressBar("generate", total: total, unit: "steps", console: console, now: now) }
            bar?.update(done: done)
        }
        Interruption.install()
        do {
            try pipeline.generate(requests, hooks) { image in
                if isGrid || options.latents != nil { made.append(image) }
                if isGrid { return }
                let plan = plans[image.index]
                let path = output.next(seed: plan.seed)
                try image.image.write(to: path, quality: 95, texts: plan.texts)
                report.add(path, plan.seed, image.seconds)
            }
        } catch is GenerationStopped {
            bar?.finish()
            try say(report)
            console.log("stopped; \(report.files.count) of \(isGrid ? 1 : plans.count) images are done and kept")
            throw ExitCode(130)
        }
        bar?.finish()
        if isGrid {
            let path = output.next(seed: plans[0].seed)
            try grid(made).write(to: path, quality: 95, texts: plans[0].texts)
            report.add(path, plans[0].seed, made.reduce(0) { $0 + $1.seconds })
        }
        if let path = options.latents { try Self.write(made, to: path) }
        try say(report)
    }

    private func requests() throws -> [ImageRequest] {
        var images = ImageReader()
        return try plans.map { try $0.request(&images) }
    }

    /// Requests with the noise that is given.
    private func noised(_ requests: [ImageRequest]) throws -> [ImageRequest] {
        guard let path = options.noise else { return requests }
        let file = try SafetensorsFile(path)
        func rows(_ name: String) throws -> Tensor? {
            guard let noise = try file.tensor(name) else { return nil }
            guard noise.rank == 4, noise.size(0) == requests.count else {
                throw Failure.input(
                    "`\(name)` does not hold the noise of each image", at: .init(path),
                    expected: "[\(requests.count), c, h, w]", got: "\(noise.shape)")
            }
            return noise
        }
        let (stageC, stageB) = (try rows("stage_c"), try rows("stage_b"))
        guard stageC != nil || stageB != nil else {
            throw Failure.input("there is no noise in the file", at: .init(path), expected: "`stage_c` or `stage_b`")
        }
        return try requests.enumerated().map { index, request in
            var request = request
            request.noise.stageC = try stageC?.sliced(0, index..<index + 1)
            request.noise.stageB = try stageB?.sliced(0, index..<index + 1)
            return request
        }
    }

    // MARK: Results

    /// What was written.
    private struct Report {
        var files: [String] = []
        private var seeds: [UInt64] = []
        private var seconds: [Double] = []

        mutating func add(_ file: String, _ seed: UInt64, _ seconds: Double) {
            files.append(file)
            seeds.append(seed)
            self.seconds.append(seconds)
        }

        var json: JSON {
            [
                "files": .array(files.map(JSON.string)),
                "seeds": .array(seeds.map { .integer(Int(truncatingIfNeeded: $0)) }),
                "seconds": .array(seconds.map { .number(($0 * 1000).rounded() / 1000) }),
            ]
        }
    }

    private func say(_ report: Report) throws {
        let results = Output()
        if options.json { return try results.result(report.json) }
        for file in report.files { try results.result(file) }
    }

    /// The images of a sweep side by side, each below what it was made with.
    private func grid(_ images: [GeneratedImage]) throws -> Image {
        let sweeps = plans[0].sweeps
        let columns = sweeps[0].values.count
        let cells = try images.map { image in
            var words = sweeps[0].label(sweeps[0].values[image.index % columns])
            if sweeps.count == 2 { words += ", " + sweeps[1].label(sweeps[1].values[image.index / columns]) }
            return try image.image.captioned(words)
        }
        return try Image.grid(
            stride(from: 0, to: cells.count, by: columns).map { Array(cells[$0..<min($0 + columns, cells.count)]) })
    }

    private static func write(_ images: [GeneratedImage], to path: String) throws {
        guard let first = images.first, images.allSatisfy({ $0.pixels.shape == first.pixels.shape }) else {
            throw Failure.input("--latents takes images of one size", at: .init(path))
        }
        var tensors: [(name: String, tensor: Tensor)] = [
            ("stage_c", try .concatenated(images.map(\.stageC), dimension: 0)),
            ("image", try .concatenated(images.map(\.pixels), dimension: 0).to(dtype: .float32)),
        ]
        let stageB = images.compactMap(\.stageB)
        if stageB.count == images.count {
            tensors.append(("stage_b", try .concatenated(stageB, dimension: 0)))
        }
        try SafetensorsWriter.write(tensors, to: path)
    }
}
