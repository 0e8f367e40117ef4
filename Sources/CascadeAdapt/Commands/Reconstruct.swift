import AdapterKit
import ArgumentParser
import Failures
import Files
import Foundation
import Generation
import Images
import JSON
import Models
import Settings
import Telemetry

extension Reconstruction.Way: ExpressibleByArgument {}

/// `reconstruct`: images through what compresses them and back.
struct Reconstruct: Action {
    static let configuration = CommandConfiguration(
        abstract:
            "Encode and decode images, by EffNet, Stage B and Stage A, and measure the loss.",
        discussion: "Prints the peak signal-to-noise ratio of each image.")

    @Argument(
        help: ArgumentHelp("The images. An inference file of Stage B (.yaml) may come first.", valueName: "image"),
        completion: .file())
    var images: [String]

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The folder to write to.", valueName: "folder"), completion: .directory)
    var output: String

    @Option(
        help: ArgumentHelp(
            "b: EffNet, Stage B and Stage A; a: Stage A alone; c: EffNet and previewer, which is what the miniature "
                + "has.")
    )
    var stage: Reconstruction.Way?

    @Option(help: "Sampling steps of Stage B (default: 10).")
    var steps: Int?

    @Option(help: "Guidance scale of Stage B (default: 1.1).")
    var cfg: Double?

    @Option(help: "The sampler (default: ddpm).")
    var sampler: SamplerName?

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp("Override a key of the configuration. Repeatable.", valueName: "key=value"))
    var overrides: [String] = []

    @OptionGroup var weights: WeightOptions

    @Flag(help: "Print JSON: files, psnr, seconds.")
    var json = false

    @OptionGroup var overwriting: OverwriteOption

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        let isConfigured = images.first.map { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") } ?? false
        let paths = Array(images.dropFirst(isConfigured ? 1 : 0))
        guard !paths.isEmpty else { throw Failure.input("there is no image to reconstruct") }
        let reconstruction = try reconstruction(isConfigured ? images[0] : nil, context.plugIns)
        let opened = try paths.map { try Image(contentsOf: $0) }
        if fileExists(output), !Folder.isFolder(output) {
            throw Failure.input("a file lies where the folder of images should be", at: .init(output))
        }
        let outputs = Self.names(of: paths).map { path("\($0).png", in: output) }
        try overwriting.check(outputs, reading: paths)
        try Folder.make(output)

        let console = Console.standardError(isQuiet: machine.quiet)
        let now = { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
        var bar: ProgressBar?
        var hooks = GenerationHooks()
        hooks.now = now
        hooks.isStopped = { Interruption.isRequested }
        hooks.progress = { done, total, _ in
            if bar == nil { bar = ProgressBar("reconstruct", total: total, unit: "steps", console: console, now: now) }
            bar?.update(done: done)
        }
        Interruption.install()
        var results: [Reconstruction.Result] = []
        var isStopped = false
        do {
            try reconstruction(opened, hooks) { result in
                try result.image.write(to: outputs[result.index])
                results.append(result)
            }
        } catch is GenerationStopped {
            isStopped = true
        }
        bar?.finish()
        try say(results, outputs)
        if isStopped {
            console.log("stopped; \(results.count) of \(paths.count) images are done and kept")
            throw ExitCode(130)
        }
    }

    private func say(_ results: [Reconstruction.Result], _ outputs: [String]) throws {
        func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
        guard json else {
            for result in results {
                try machine.output.result("\(outputs[result.index]): \(rounded(result.psnr)) dB")
            }
            return
        }
        try machine.output.result([
            "files": .array(results.map { .string(outputs[$0.index]) }),
            "psnr": .array(results.map { $0.psnr.isFinite ? .number(rounded($0.psnr)) : .null }),
            "seconds": .array(results.map { .number(rounded($0.seconds)) }),
        ])
    }

    private func reconstruction(_ configuration: String?, _ plugIns: PlugIns) throws -> Reconstruction {
        let isMiniature =
            weights.models.map { $0 == Miniature.name } ?? (configuration == nil && ModelFiles.isMiniatureStandard())
        var files = try isMiniature ? ModelFiles(folder: Miniature.name) : .installed()
        var way = StageSampling.stageB
        var name = SamplerName.ddpm
        if let configuration {
            let setting = try Setting.read(configuration, for: .inference, overriddenBy: overrides)
            let file = try InferenceFile(setting, plugIns)
            guard file.stage == .stageB else {
                throw Failure.input(
                    "a configuration of Stage C cannot reconstruct", at: .init(configuration),
                    expected: "one of Stage B, such as configs/inference/stage_b_3b.yaml")
            }
            files = files.replaced(by: file.models)
            if let dtype = file.dtype { (files.dtype, files.keepsStoredDType) = (dtype, false) }
            files.baseDType = file.baseDType
            way.steps = file.defaults.steps?.last ?? way.steps
            way.guidance = file.defaults.guidance?.last ?? way.guidance
            way.shift = file.defaults.shift?.last ?? way.shift
            name = file.defaults.sampler ?? name
        } else if let stray = overrides.first {
            throw Failure.input("--set has no configuration to change", got: stray, advice: "name an inference file")
        }
        if let models = weights.models, !isMiniature { files = files.replaced(by: try ModelFiles(folder: models)) }
        if let dtype = weights.dtype { (files.dtype, files.keepsStoredDType) = (dtype.dtype, false) }
        if let baseDType = weights.baseDtype { files.baseDType = baseDType }
        files.device = try machine.prepared()
        if let steps {
            guard (1...1000).contains(steps) else {
                throw Failure.input("--steps is out of range", expected: "1 to 1000", got: "\(steps)")
            }
            way.steps = steps
        }
        if let cfg { way.guidance = cfg }
        var reconstruction = Reconstruction(files)
        (reconstruction.way, reconstruction.sampling, reconstruction.sampler) = (
            stage ?? (isMiniature ? .c : .b), way, sampler ?? name
        )
        reconstruction.seed = machine.seed ?? 0
        return reconstruction
    }

    /// Names without endings, each once.
    private static func names(of paths: [String]) -> [String] {
        var taken: [String: Int] = [:]
        return paths.map { path in
            let name = lastComponent(of: path)
            let stem = name.split(separator: ".").dropLast().joined(separator: ".")
            let base = stem.isEmpty ? name : stem
            taken[base, default: 0] += 1
            return taken[base] == 1 ? base : "\(base)-\(taken[base] ?? 0)"
        }
    }
}
