import AdapterKit
import Cascade
import Failures
import Files
import Generation
import Images
import Models
import Settings

/// A plan as options, inference files and an image of ours say it; the first of them wins.
extension ImagePlan {
    /// - Parameters:
    ///   - configuration: an inference file.
    ///   - images: of the ControlNets.
    init(
        _ options: ImageOptions, configuration: String?, images: [String], variation: String?, _ plugIns: PlugIns
    ) throws {
        if let like = options.like {
            try self.init(of: like)
        } else {
            self.init()
            models = .installed()
        }
        if let variation { self.variation = variation }
        if let folder = options.weights.models {
            try begin(with: folder, plugIns)
        } else if options.like == nil, try Self.isForMiniature(configuration) {
            try begin(with: Miniature.name, plugIns)
            if configuration == nil {
                remark =
                    "no official Stage C was found, so the miniature is used; `cascade-adapt models list` says how to get "
                    + "one"
            }
        }
        let missing = try applyFiles(options, configuration, plugIns)
        if let folder = options.weights.models { models = models.replaced(by: try ModelFiles(folder: folder)) }
        if let dtype = options.weights.dtype { self.dtype = dtype.dtype }
        if let baseDType = options.weights.baseDtype { self.baseDType = baseDType }
        try applySampling(options)
        try applyStart(options)
        try applyAdapters(options)
        try applyControlNets(options, images, missing)
        if !options.sweep.isEmpty { sweeps = try options.sweep.map { try Sweep($0) } }
        if let size = options.size?.size {
            guard size.isPossible else {
                throw Failure.input(
                    "--size is out of range",
                    expected: "sides of \(ImageSize.sides.lowerBound) to \(ImageSize.sides.upperBound) pixels",
                    got: "\(size.width)x\(size.height)")
            }
            self.size = size
        } else if options.like == nil, let start, !isSized {
            size = try Image(contentsOf: start).startSize(short: min(size.width, size.height))
        }
    }

    // MARK: Files

    /// Whether the miniature draws where no folder of models is named: a configuration says so, or there is none and no
    /// official Stage C is here.
    private static func isForMiniature(_ configuration: String?) throws -> Bool {
        guard let configuration else { return ModelFiles.isMiniatureStandard() }
        let setting = try Setting.read(configuration, for: .inference)
        return setting["model_version"]?.text == Miniature.name && setting["generator_checkpoint_path"] == nil
    }

    /// Takes the models of a folder, and what its `generate.yaml` says of how they draw.
    private mutating func begin(with folder: String, _ plugIns: PlugIns) throws {
        let path = path("generate.yaml", in: try ModelFiles.root(of: folder))
        if fileExists(path) { apply(try InferenceFile(.read(path), plugIns)) }
        // It says how large a square image is; one that starts from another has that one's shape.
        isSized = false
        models = models.replaced(by: try ModelFiles(folder: folder))
    }

    /// - Returns: what is wrong where a ControlNet is asked for and not named.
    private mutating func applyFiles(
        _ options: ImageOptions, _ configuration: String?, _ plugIns: PlugIns
    ) throws -> Failure? {
        let prefix = "stage_b."
        let (ofB, own) = (
            options.overrides.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) },
            options.overrides.filter { !$0.hasPrefix(prefix) }
        )
        if configuration == nil, !own.isEmpty {
            throw Failure.input("--set has no configuration to change", got: own[0], advice: "name an inference file")
        }
        var missing: Failure?
        var (stageBPath, overridesOfB) = (options.stageB, ofB)
        if let configuration {
            let setting = try Setting.read(configuration, for: .inference, overriddenBy: own)
            let file = try InferenceFile(setting, plugIns)
            apply(file)
            missing = file.missingControlNet
            if file.stage == .stageC { stageBPath = stageBPath ?? file.stageB }
        }
        if stageBPath == nil, !overridesOfB.isEmpty {
            throw Failure.input(
                "--set stage_b. has no file to change", got: overridesOfB[0], advice: "name it: --stage-b")
        }
        if let stageBPath {
            let setting = try Setting.read(stageBPath, for: .inference, overriddenBy: overridesOfB)
            let file = try InferenceFile(setting, plugIns)
            guard file.stage == .stageB else {
                throw Failure.input(
                    "the file for Stage B is one of Stage C", at: .init(stageBPath),
                    expected: "model_version \(ModelSize.names(of: .stageB, last: " or "))")
            }
            overridesOfB = []
            apply(file)
        }
        return missing
    }

    private mutating func apply(_ file: InferenceFile) {
        models = models.replaced(by: file.models)
        if let dtype = file.dtype { self.dtype = dtype }
        if let baseDType = file.baseDType { self.baseDType = baseDType }
        if file.stage == .stageC { (adapters, controlNets) = (file.adapters, file.controlNets) }
        let defaults = file.defaults
        if let negative = defaults.negative { self.negative = negative }
        if let size = defaults.size {
            self.size = size
            isSized = true
        }
        if let sampler = defaults.sampler { self.sampler = sampler }
        if let decoder = defaults.decoder { self.decoder = decoder }
        func set<Value>(_ values: [Value]?, _ path: WritableKeyPath<StageSampling, Value>) {
            guard let values else { return }
            if file.stage == .stageC {
                stageC[keyPath: path] = values[0]
                if values.count == 2 { stageB[keyPath: path] = values[1] }
            } else {
                stageB[keyPath: path] = values[values.count - 1]
            }
        }
        set(defaults.steps, \.steps)
        set(defaults.guidance, \.guidance)
        set(defaults.shift, \.shift)
    }

    // MARK: Options

    private mutating func applySampling(_ options: ImageOptions) throws {
        if let negative = options.negative { self.negative = negative }
        if let prompt = options.prompt { self.prompt = prompt }
        if let seed = options.machine.seed { self.seed = seed }
        if let sampler = options.sampler { self.sampler = sampler }
        if let decoder = options.decoder { self.decoder = decoder }
        func set<Value>(
            _ option: StagesArgument<Value>?, _ name: String, _ path: WritableKeyPath<StageSampling, Value>,
            _ expected: String, _ fits: (Value) -> Bool
        ) throws {
            guard let option else { return }
            let values = [option.stageC] + (option.stageB.map { [$0] } ?? [])
            if let stray = values.first(where: { !fits($0) }) {
                throw Failure.input("--\(name) is out of range", expected: expected, got: "\(stray)")
            }
            stageC[keyPath: path] = option.stageC
            if let value = option.stageB { stageB[keyPath: path] = value }
        }
        try set(options.steps, "steps", \.steps, "1 to 1000") { (1...1000).contains($0) }
        try set(options.cfg, "cfg", \.guidance, "a number", \.isFinite)
        try set(options.shift, "shift", \.shift, "a number above 0") { $0 > 0 && $0.isFinite }
    }

    private mutating func applyStart(_ options: ImageOptions) throws {
        if let start = options.start {
            self.start = start
            denoise = 0.7
            mask = nil
        }
        if let denoise = options.denoise {
            guard start != nil else {
                throw Failure.input("--denoise has no image to lay noise over", advice: "give --init")
            }
            guard denoise > 0, denoise <= 1 else {
                throw Failure.input("--denoise is out of range", expected: "above 0 to 1", got: "\(denoise)")
            }
            self.denoise = denoise
        }
        if let mask = options.mask.first, start != nil { self.mask = mask }
    }

    private mutating func applyAdapters(_ options: ImageOptions) throws {
        let reading = try options.reading.reading()
        if !options.loras.isEmpty {
            adapters = options.loras.map { AdapterUse($0.path, strength: $0.strength) }
            for index in adapters.indices { adapters[index].reading = reading }
        }
        try Self.spread(options.loraWindow, over: adapters.count, "--lora-window", "--lora") { index, argument in
            adapters[index].window = argument.window
        }
    }

    private mutating func applyControlNets(
        _ options: ImageOptions, _ images: [String], _ missing: Failure?
    ) throws {
        let reading = try options.reading.reading()
        if !options.controlNets.isEmpty {
            // What the file says of a ControlNet is said of the one that takes its place.
            let known = controlNets
            controlNets = options.controlNets.enumerated().map { index, reference in
                var use = known.indices.contains(index) ? known[index] : ControlUse("", image: "")
                (use.file, use.strength) = (reference.path, reference.strength)
                if !reading.controlNetBlocks.isEmpty { use.reading.controlNetBlocks = reading.controlNetBlocks }
                return use
            }
        } else if let missing {
            throw missing
        }
        let count = controlNets.count
        try Self.spread(images, over: count, "--image", "--controlnet") { controlNets[$0].image = $1 }
        try Self.spread(options.window, over: count, "--window", "--controlnet") {
            controlNets[$0].window = $1.window
        }
        try Self.spread(options.controlFilter, over: count, "--control-filter", "--controlnet") {
            controlNets[$0].filter = FilterChoice(name: $1, parameters: Setting(.null, file: "--control-filter"))
        }
        if count > 0 {
            try Self.spread(options.mask, over: count, "--mask", "--controlnet") { controlNets[$0].mask = $1 }
        } else if options.mask.count > 1 || !options.mask.isEmpty && start == nil {
            throw Failure.input("--mask has no image to lie on", advice: "give --init, or a ControlNet with --image")
        }
        if options.conditioned {
            guard count > 0 else { throw Failure.input("--conditioned without a ControlNet") }
            for index in controlNets.indices { controlNets[index].isCondition = true }
        }
        for index in controlNets.indices where controlNets[index].image.isEmpty {
            guard let image = variation ?? start else {
                throw Failure.input(
                    "there is no image for the ControlNet", at: .init(controlNets[index].file),
                    expected: "--image IMAGE")
            }
            controlNets[index].image = image
        }
    }

    /// Gives each of some uses its value: there is one for all, or one for each.
    private static func spread<Value>(
        _ values: [Value], over count: Int, _ option: String, _ of: String, _ set: (Int, Value) throws -> Void
    ) throws {
        if values.isEmpty { return }
        guard values.count == 1 && count > 0 || values.count == count else {
            throw Failure.input(
                "\(option) is given \(values.count) times",
                expected: count == 0 ? "a \(of) that it is for" : "once, or \(count) times: once for each \(of)")
        }
        for index in 0..<count { try set(index, values[values.count == 1 ? 0 : index]) }
    }
}

extension ModelFiles {
    /// The same with those of another's that it names.
    func replaced(by other: ModelFiles) -> ModelFiles {
        var models = self
        func replace(_ path: WritableKeyPath<ModelFiles, Source?>) {
            if let source = other[keyPath: path] { models[keyPath: path] = source }
        }
        for path in [\ModelFiles.stageA, \.effnet, \.previewer, \.text, \.image] { replace(path) }
        for path in [\ModelFiles.stageC, \.stageB] {
            guard var stage = other[keyPath: path] else { continue }
            stage.weights = stage.weights ?? models[keyPath: path]?.weights
            models[keyPath: path] = stage
        }
        return models
    }
}

extension Image {
    /// The size of an image that starts from this one: its shape, the short side as long as a square image's.
    fileprivate func startSize(short square: Int) -> ImageSize {
        let short = min(width, height)
        // Whole eighths, which Stage B's latents are in pairs; and no more than the sides there are.
        func side(_ length: Int) -> Int { min(square * length / short / 8 * 8, ImageSize.sides.upperBound) }
        return ImageSize(width: side(width), height: side(height))
    }
}
