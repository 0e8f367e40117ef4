import AdapterKit
import Failures
import Files
import Generation
import Images
import JSON
import Settings

/// A plan as the JSON in our files.
extension ImagePlan {
    var json: JSON {
        var object = JSON.Object()
        object["prompt"] = .string(prompt)
        object["negative"] = .string(negative)
        object["size"] = [.integer(size.width), .integer(size.height)]
        // Numbers of JSON have 53 bits for whoever reads them as doubles.
        object["seed"] = .string(String(seed))
        object["steps"] = [.integer(stageC.steps), .integer(stageB.steps)]
        object["cfg"] = [.number(stageC.guidance), .number(stageB.guidance)]
        object["shift"] = [.number(stageC.shift), .number(stageB.shift)]
        object["sampler"] = .string(sampler.rawValue)
        object["decoder"] = .string(decoder.rawValue)
        object["init"] = start.map(JSON.string)
        object["mask"] = mask.map(JSON.string)
        object["denoise"] = start.map { _ in .number(denoise) }
        object["image"] = variation.map(JSON.string)
        object["loras"] = .array(adapters.map(\.json))
        object["controlnets"] = .array(controlNets.map(\.json))
        object["models"] = models.json
        object["dtype"] = dtype.map { .string("\($0)") }
        object["base_dtype"] = baseDType.map { .string($0.rawValue) }
        if !sweeps.isEmpty { object["sweep"] = .array(sweeps.map { .string($0.text) }) }
        return .object(object)
    }

    /// The plan that an image of ours holds.
    /// - Throws: a failure of the input where it holds none.
    init(of path: String) throws {
        let texts = PNGTexts.read(try readFile(path))
        guard let text = texts[Self.keywords.own] else {
            throw Failure.input(
                "the image does not say how it was made", at: .init(path),
                expected: "a PNG file that `cascade-adapt generate` wrote")
        }
        let setting = try Setting.parse(text, file: path)
        var fields = try setting.fields()
        func pair<Value: SettingReadable>(_ key: String, _ fields: inout Fields) throws -> (Value, Value) {
            let values: [Value] = try fields.required(key, .count(2))
            return (values[0], values[1])
        }
        prompt = try fields.required("prompt")
        negative = try fields.value("negative", default: "")
        let sides: (Int, Int) = try pair("size", &fields)
        size = ImageSize(width: sides.0, height: sides.1)
        let seedText: String = try fields.required("seed")
        guard let seed = UInt64(seedText) else {
            throw Failure.input("the image's seed cannot be read", at: .init(path), got: seedText)
        }
        self.seed = seed
        let steps: (Int, Int) = try pair("steps", &fields)
        let (guidance, shift): ((Double, Double), (Double, Double)) = (
            try pair("cfg", &fields), try pair("shift", &fields)
        )
        stageC = StageSampling(steps: steps.0, guidance: guidance.0, shift: shift.0)
        stageB = StageSampling(steps: steps.1, guidance: guidance.1, shift: shift.1)
        sampler = try fields.required("sampler")
        decoder = try fields.required("decoder")
        start = try fields.optional("init")
        mask = try fields.optional("mask")
        denoise = try fields.value("denoise", default: 1)
        variation = try fields.optional("image")
        adapters = try fields.value("loras", default: [Setting]()).map(AdapterUse.init)
        controlNets = try fields.value("controlnets", default: [Setting]()).map(ControlUse.init)
        models = try ModelFiles(fields.required("models", as: Setting.self))
        dtype = try fields.optional("dtype", as: ComputeType.self)?.dtype
        baseDType = try fields.optional("base_dtype")
        sweeps = try fields.value("sweep", default: [String]()).map { try Sweep($0) }
        try fields.finish()
    }
}

extension ComputeType: SettingReadable {}
extension StepWindow {
    fileprivate var json: JSON { [.number(from), .number(until)] }
}

extension AdapterReading {
    /// What a use of a file adds to it.
    fileprivate var json: JSON {
        var object = JSON.Object()
        if !moduleFilters.isEmpty { object["module_filters"] = .array(moduleFilters.map(JSON.string)) }
        if !tokens.isEmpty {
            object["tokens"] = .array(tokens.map { [.string($0.text), $0.pattern.map(JSON.string) ?? .null] })
        }
        if !controlNetBlocks.isEmpty { object["blocks"] = .array(controlNetBlocks.map(JSON.integer)) }
        return .object(object)
    }

    fileprivate init(_ setting: Setting) throws {
        self.init()
        var fields = try setting.fields()
        moduleFilters = try fields.value("module_filters", default: [])
        controlNetBlocks = try fields.value("blocks", default: [])
        tokens = try fields.value("tokens", default: [[Setting]]()).compactMap { parts in
            parts.count == 2 ? Token(text: try parts[0].read(), pattern: parts[1].text) : nil
        }
        try fields.finish()
    }
}

extension AdapterUse {
    fileprivate var json: JSON {
        ["file": .string(file), "strength": .number(strength), "window": window.json, "reading": reading.json]
    }

    fileprivate init(_ setting: Setting) throws {
        var fields = try setting.fields()
        self.init(try fields.required("file"), strength: try fields.required("strength"))
        window = try fields.required("window")
        reading = try AdapterReading(fields.required("reading", as: Setting.self))
        try fields.finish()
    }
}

extension ControlUse {
    fileprivate var json: JSON {
        var object = JSON.Object()
        object["file"] = .string(file)
        object["strength"] = .number(strength)
        object["window"] = window.json
        object["image"] = .string(image)
        object["conditioned"] = .bool(isCondition)
        object["mask"] = mask.map(JSON.string)
        object["filter"] = filter.map { .string($0.name) }
        object["filter_params"] = filter?.parameters.json
        object["reading"] = reading.json
        return .object(object)
    }

    fileprivate init(_ setting: Setting) throws {
        var fields = try setting.fields()
        self.init(
            try fields.required("file"), strength: try fields.required("strength"), image: try fields.required("image"))
        window = try fields.required("window")
        isCondition = try fields.required("conditioned")
        mask = try fields.optional("mask")
        let parameters: Setting? = try fields.optional("filter_params")
        filter = try fields.optional("filter").map {
            FilterChoice(name: $0, parameters: parameters ?? Setting(.null, file: setting.place.file))
        }
        reading = try AdapterReading(fields.required("reading", as: Setting.self))
        try fields.finish()
    }
}

extension ModelFiles {
    private static var stages: [(key: String, path: WritableKeyPath<ModelFiles, Stage?>)] {
        [
            ("stage_c", \.stageC), ("stage_b", \.stageB),
        ]
    }
    private static var others: [(key: String, path: WritableKeyPath<ModelFiles, Source?>)] {
        [
            ("stage_a", \.stageA), ("effnet", \.effnet), ("previewer", \.previewer), ("clip_text", \.text),
            ("clip_image", \.image),
        ]
    }

    fileprivate var json: JSON {
        var object = JSON.Object()
        for (key, path) in Self.stages {
            guard let stage = self[keyPath: path], let weights = stage.weights else { continue }
            object[key] = ["model_version": .string(stage.architecture.name), "weights": .string(weights.name)]
        }
        for (key, path) in Self.others { object[key] = self[keyPath: path].map { .string($0.name) } }
        return .object(object)
    }

    fileprivate init(_ setting: Setting) throws {
        self.init()
        var fields = try setting.fields()
        func source(_ key: String, _ name: String) -> Source { Source(key: key, name: name, place: setting.place) }
        for (key, path) in Self.stages {
            guard let stage: Setting = try fields.optional(key) else { continue }
            var own = try stage.fields()
            self[keyPath: path] = Stage(
                architecture: source("model_version", try own.required("model_version")),
                weights: source("weights", try own.required("weights")))
            try own.finish()
        }
        for (key, path) in Self.others {
            self[keyPath: path] = try fields.optional(key, as: String.self).map { source(key, $0) }
        }
        try fields.finish()
    }
}
