import Generation
import Images
import Layers
import Settings
import Torch
import Training

/// All that decides an image: what its file says of it, and what it can be made from again.
struct ImagePlan {
    var prompt = ""
    var negative = ""
    var size = ImageSize(width: 1024, height: 1024)
    var seed: UInt64 = 0
    var stageC = StageSampling.stageC
    var stageB = StageSampling.stageB
    var sampler = SamplerName.ddpm
    var decoder = GenerationPipeline.DecoderName.stages
    /// Files of the image to start from and of its mask.
    var start: String?
    var mask: String?
    var denoise = 1.0
    /// The file of the image that is varied.
    var variation: String?
    var adapters: [AdapterUse] = []
    var controlNets: [ControlUse] = []
    var models = ModelFiles()
    /// Nil keeps weights as their files have them.
    var dtype: DType?
    /// What the matrices are kept in; nil leaves it to the rest.
    var baseDType: BaseDType?
    var sweeps: [Sweep] = []
    /// Whether a file said the size.
    var isSized = false
    /// What is said of the models that were chosen.
    var remark: String?

    /// The image as the pipeline is asked for it.
    func request(_ images: inout ImageReader) throws -> ImageRequest {
        var request = ImageRequest(prompt: prompt)
        (request.negative, request.size, request.seed) = (negative, size, seed)
        (request.stageC, request.stageB, request.sampler) = (stageC, stageB, sampler)
        request.start = try start.map {
            StartImage(try images($0), denoise: denoise, mask: try mask.map { try images.mask($0) })
        }
        request.variation = try variation.map { try images($0) }
        request.adapterStrengths = adapters.map(\.strength)
        request.controlStrengths = controlNets.map(\.strength)
        return request
    }

    /// The pipeline that makes it.
    func configuration(device: Device) -> GenerationPipeline.Configuration {
        var models = models
        models.device = device
        if let dtype { models.dtype = dtype }
        models.keepsStoredDType = dtype == nil
        models.baseDType = baseDType
        var configuration = GenerationPipeline.Configuration(models: models)
        (configuration.adapters, configuration.controlNets) = (adapters, controlNets)
        configuration.decoder = decoder
        return configuration
    }

    // MARK: Texts in files

    /// The keyword of other programs, and ours.
    static let keywords = (shared: "parameters", own: "cascade-adapt")

    /// What a PNG file says of the image.
    var texts: [(keyword: String, text: String)] {
        [(Self.keywords.shared, parameters), (Self.keywords.own, json.text())]
    }

    /// As AUTOMATIC1111's interface writes and reads it.
    private var parameters: String {
        var facts = [
            "Steps: \(stageC.steps)", "Sampler: \(sampler.rawValue.uppercased())",
            "CFG scale: \(short(stageC.guidance))", "Seed: \(seed)", "Size: \(size.width)x\(size.height)",
        ]
        if let weights = models.stageC?.weights?.name { facts.append("Model: \(Self.stem(of: weights))") }
        if start != nil { facts.append("Denoising strength: \(short(denoise))") }
        for (index, control) in controlNets.enumerated() {
            facts.append("ControlNet \(index): \(Self.stem(of: control.file)) \(short(control.strength))")
        }
        if !adapters.isEmpty {
            let names = adapters.map { "\(Self.stem(of: $0.file)) \(short($0.strength))" }
            facts.append("Lora: \"\(names.joined(separator: ", "))\"")
        }
        facts.append("Version: cascade-adapt \(programVersion)")
        let negative = negative.isEmpty ? "" : "\nNegative prompt: \(negative)"
        return "\(prompt)\(negative)\n\(facts.joined(separator: ", "))"
    }

    private static func stem(of path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return name.split(separator: ".").dropLast().joined(separator: ".")
    }
}

/// A number as short as it can be written.
func short(_ value: Double) -> String {
    Int(exactly: value).map(String.init) ?? "\(value)"
}

/// Reads images and masks, each once.
struct ImageReader {
    private var known: [String: Image] = [:]
    private var masks: [String: Mask] = [:]

    mutating func mask(_ path: String) throws -> Mask {
        if let mask = masks[path] { return mask }
        let mask = try Mask(contentsOf: path)
        masks[path] = mask
        return mask
    }

    mutating func callAsFunction(_ path: String) throws -> Image {
        if let image = known[path] { return image }
        let image = try Image(contentsOf: path)
        known[path] = image
        return image
    }
}
