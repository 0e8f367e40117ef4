import Images
import AdapterKit
import Cascade
import Failures
import Layers
import Settings
import Torch

/// A configuration to make images with: the reference's keys of `configs/inference`, and some of ours.
public struct InferenceFile {
    /// Stage C or Stage B.
    public let stage: ModelPart
    /// What the file names; the rest is nil.
    public let models: ModelFiles
    /// Nil leaves it to the weights.
    public let dtype: DType?
    /// What the matrices of stages and of the text encoder are kept in; nil leaves it to the rest.
    public let baseDType: BaseDType?
    /// `lora_checkpoint_path` first, then `loras` in their order; empty in a file of Stage B.
    public let adapters: [AdapterUse]
    /// Their images may be empty: then they are given elsewhere.
    public let controlNets: [ControlUse]
    /// What is wrong where a ControlNet is asked for and not named; nil where it is not so.
    public let missingControlNet: Failure?
    /// A file of Stage B beside this one.
    public let stageB: String?
    /// How images are made where neither options nor the image itself say it.
    public let defaults: Defaults

    /// What images are made with where nothing else is said.
    public struct Defaults: Sendable {
        /// `negative_prompt`, which guidance leads away from.
        public var negative: String?
        /// `size`: one number is both sides, two are width and height, in pixels.
        public var size: ImageSize?
        /// Of Stage C, and of Stage B.
        public var steps: [Int]?
        /// `cfg`: the strength of the guidance of Stage C, and of Stage B; 1 is none.
        public var guidance: [Double]?
        /// `shift` of the noise schedule of Stage C, and of Stage B.
        public var shift: [Double]?
        /// `sampler` of both stages.
        public var sampler: SamplerName?
        /// `decoder`: what makes images of Stage C's latents.
        public var decoder: GenerationPipeline.DecoderName?
    }

    /// Reads a whole file.
    /// - Throws: a failure of the input at a key that is missing, unknown or can't be read.
    public init(_ setting: Setting, _ plugIns: PlugIns) throws {
        var fields = try setting.fields()
        try self.init(&fields, plugIns)
        try fields.finish()
    }

    /// Reads the keys, of which others may be left.
    public init(_ fields: inout Fields, _ plugIns: PlugIns) throws {
        let setting = fields.setting
        func source(_ key: String, _ fields: inout Fields) throws -> ModelFiles.Source? {
            try fields.optional(key, as: String.self).map {
                .init(key: key, name: $0, place: fields.setting[key]?.place ?? setting.place)
            }
        }
        let version: String = try fields.required("model_version")
        stage = try ModelPart(modelVersion: version)
        dtype = try fields.optional("dtype", as: StoredType.self)?.dtype
        baseDType = try fields.optional("base_dtype")
        var models = ModelFiles()
        let architecture = ModelFiles.Source(
            key: "model_version", name: version, place: setting["model_version"]?.place ?? setting.place)
        let network = ModelFiles.Stage(
            architecture: architecture, weights: try source("generator_checkpoint_path", &fields))
        if stage == .stageB { models.stageB = network } else { models.stageC = network }
        models.effnet = try source("effnet_checkpoint_path", &fields)
        models.previewer = try source("previewer_checkpoint_path", &fields)
        models.stageA = try source("stage_a_checkpoint_path", &fields)
        models.text = try source("clip_text_model_name", &fields)
        models.image = try source("clip_image_model_name", &fields)
        self.models = models

        var isControlled = false
        if stage == .stageC {
            stageB = try fields.optional("stage_b")
            adapters = try Self.adapters(&fields, plugIns)
            (controlNets, isControlled) = try Self.controlNets(&fields)
        } else {
            (stageB, adapters, controlNets) = (nil, [], [])
            // What the reference's reconstruction reads its demonstration from.
            for key in ["webdataset_path", "batch_size", "image_size", "grad_accum_steps"] { fields.ignore(key) }
        }
        missingControlNet =
            isControlled && controlNets.isEmpty
            ? .input(
                "`controlnet_checkpoint_path` is empty",
                at: setting["controlnet_checkpoint_path"]?.place ?? setting.place, expected: "the ControlNet's file",
                advice: "name it there, or with --controlnet") : nil
        defaults = try Defaults(&fields)
    }

    // MARK: Adapters

    private static func adapters(_ fields: inout Fields, _ plugIns: PlugIns) throws -> [AdapterUse] {
        var adapters: [AdapterUse] = []
        let setting = fields.setting
        if let path: String = try fields.optional("lora_checkpoint_path") {
            var use = AdapterUse(path)
            for kind in plugIns.adapters { kind.complete(&use.reading, from: setting) }
            adapters.append(use)
        }
        // They say how the file was trained; what of it is needed has been read.
        for key in ["module_filters", "rank", "train_tokens"] { fields.ignore(key) }
        for entry in try fields.value("loras", default: [Setting]()) {
            var own = try entry.fields()
            var use = AdapterUse(try own.required("path"), strength: try own.value("strength", default: 1, .finite))
            use.window = try own.value("window", default: .all)
            for kind in plugIns.adapters { kind.complete(&use.reading, from: entry) }
            for key in ["module_filters", "train_tokens"] { own.ignore(key) }
            try own.finish()
            adapters.append(use)
        }
        return adapters
    }

    // MARK: ControlNets

    /// The ControlNets that are named, and whether the reference's keys ask for one.
    private static func controlNets(_ fields: inout Fields) throws -> ([ControlUse], isAsked: Bool) {
        var controlNets: [ControlUse] = []
        let isAsked = ["controlnet_checkpoint_path", "controlnet_filter"].contains(where: fields.contains)
        if let use = try control("controlnet_", path: "controlnet_checkpoint_path", &fields) { controlNets.append(use) }
        for entry in try fields.value("controlnets", default: [Setting]()) {
            var own = try entry.fields()
            guard var use = try control("", path: "path", &own) else {
                throw Failure.input("a ControlNet without a file", at: entry.place, expected: "`path`")
            }
            use.strength = try own.value("strength", default: 1, .finite)
            use.window = try own.value("window", default: .all)
            use.image = try own.value("image", default: "")
            use.mask = try own.optional("mask")
            use.isCondition = try own.value("conditioned", default: false)
            try own.finish()
            controlNets.append(use)
        }
        return (controlNets, isAsked)
    }

    private static func control(
        _ prefix: String, path key: String, _ fields: inout Fields
    ) throws -> ControlUse? {
        let setting = fields.setting
        let path: String? = try fields.optional(key)
        let filter: String? = try fields.optional("\(prefix)filter")
        let parameters: Setting? = try fields.optional("\(prefix)filter_params")
        let blocks: [Int] = try fields.value("\(prefix)blocks", default: [])
        // The shapes of a file's tensors say it.
        _ = try fields.optional("\(prefix)bottleneck_mode", as: ControlNetTrunk.BottleneckMode.self)
        guard let path, !path.isEmpty else { return nil }
        var use = ControlUse(path, image: "")
        use.filter = filter.map {
            FilterChoice(name: $0, parameters: parameters ?? Setting(.null, file: setting.place.file))
        }
        use.reading.controlNetBlocks = blocks
        return use
    }
}

extension InferenceFile.Defaults {
    fileprivate init(_ fields: inout Fields) throws {
        negative = try fields.optional("negative_prompt")
        let upToTwo = { (count: Int) in (1...2).contains(count) }
        func list<Value: SettingReadable>(
            _ key: String, _ phrase: String, _ fits: @escaping (Value) -> Bool
        ) throws -> [Value]? {
            try fields.optional(
                key, as: OneOrMore<Value>.self,
                Requirement("\(phrase), two at most") { upToTwo($0.elements.count) && $0.elements.allSatisfy(fits) }
            )?.elements
        }
        let sides = ImageSize.sides
        size = try list("size", "from \(sides.lowerBound) to \(sides.upperBound)", sides.contains)
            .map { ImageSize(width: $0[0], height: $0[$0.count - 1]) }
        steps = try list("steps", "from 1 to 1000", (1...1000).contains)
        guidance = try list("cfg", "that is finite") { (value: Double) in value.isFinite }
        shift = try list("shift", "above 0") { (value: Double) in value > 0 && value.isFinite }
        sampler = try fields.optional("sampler")
        decoder = try fields.optional("decoder")
    }
}

/// `dtype` of an inference file.
private enum StoredType: String, CaseIterable, SettingReadable {
    case float32, bfloat16

    var dtype: DType { self == .float32 ? .float32 : .bfloat16 }
}

extension SamplerName: SettingReadable {}

extension GenerationPipeline.DecoderName: SettingReadable {}

extension StepWindow: SettingReadable {
    /// What a message says was expected of `window`.
    public static var expectation: String { "two shares of the steps, from 0 to 1, the first below the second" }

    /// Reads a list of two numbers.
    public static func read(_ setting: Setting) throws -> StepWindow {
        let ends: [Double] = try setting.read()
        guard ends.count == 2, let window = StepWindow(from: ends[0], until: ends[1]) else {
            throw setting.refusal(expected: expectation)
        }
        return window
    }
}
