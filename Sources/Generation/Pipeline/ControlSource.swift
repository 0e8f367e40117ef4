import AdapterKit
import Cascade
import Failures
import Files
import Images
import Settings
import Torch
import Weights

/// A ControlNet that is to be used: its file, opened and checked, with what makes its condition.
struct ControlSource {
    let use: ControlUse
    let file: AdapterFile
    private let inputs: Int
    private let origin: Origin

    private enum Origin {
        case condition(Tensor)
        case image(Image, any ControlFilter, mask: Mask?)
    }

    /// Opens what `use` names.
    /// - Throws: a failure of the input for whatever does not fit: before any network is loaded.
    init(_ use: ControlUse, for stageC: StageCConfiguration, _ plugIns: PlugIns, note: (String) -> Void) throws {
        self.use = use
        var reading = use.reading
        reading.architecture = stageC
        let file = try plugIns.open(use.file, reading)
        guard file.kinds.contains(ControlNetKind().name) else {
            throw Failure.input(
                "the file holds no ControlNet", at: .init(use.file), got: file.kinds.joined(separator: ", "),
                advice: "other adapters are given with --lora")
        }
        self.file = file
        let configuration = try ControlNetTrunk.Configuration(describedIn: file)
        inputs = configuration.inputs
        if use.isCondition {
            origin = .condition(try Self.condition(use.image, channels: inputs))
            return
        }
        let image = try Image(contentsOf: use.image)
        let choice = try use.filter ?? Self.filter(of: file, configuration, note: note)
        let filter = try plugIns.filter(choice.name, parameters: choice.parameters)
        guard filter.channels == inputs else {
            throw Failure.input(
                "the filter \(choice.name) does not suit the ControlNet", at: .init(use.file),
                expected: "conditions with \(inputs) channels", got: "\(filter.channels)")
        }
        try filter.prepare()
        let mask = type(of: filter).takesMasks ? try use.mask.map { try Mask(contentsOf: $0) } : nil
        if let mask, mask.width != image.width || mask.height != image.height {
            throw Self.anotherSize(mask, use.mask ?? "", than: image)
        }
        origin = .image(image, filter, mask: mask)
    }

    static func anotherSize(_ mask: Mask, _ path: String, than image: Image) -> Failure {
        .input(
            "the mask is of another size than the image", at: .init(path),
            expected: "\(image.width) x \(image.height)", got: "\(mask.width) x \(mask.height)")
    }

    /// The condition for an image of a size, [1, c, H, W].
    /// - Returns: it, and whether chance had a part in it.
    func condition(for size: ImageSize, of stageC: StageCConfiguration, _ draws: ImageDraws) throws -> (
        condition: Tensor, hasDrawn: Bool
    ) {
        switch origin {
        case .condition(let condition): return (condition, false)
        case .image(let image, let filter, let mask):
            func fitted(_ image: Image) throws -> Tensor {
                try FittedImages.tensor(
                    FittedImages.shortened(
                        FittedImages.cut(image, toShape: size), to: FittedImages.shortSide(for: size, of: stageC)))
            }
            let (input, generator) = (try fitted(image), try draws.generator())
            let (made, hasDrawn) = try generator.watching {
                guard let mask else { return try filter(input, generator: generator) }
                return try filter(input, masks: fitted(mask.image).sliced(1, 0..<1), generator: generator)
            }
            return (try made.condition.to(dtype: .float32), hasDrawn)
        }
    }

    // MARK: What a file says

    /// The filter that a file names; where it names none, that of the published ControlNet with as many channels.
    private static func filter(
        of file: AdapterFile, _ configuration: ControlNetTrunk.Configuration, note: (String) -> Void
    ) throws -> FilterChoice {
        let name = file.weights.metadata["controlnet_filter"] ?? ""
        if !name.isEmpty {
            let parameters = try file.described("controlnet_filter_params")
            return FilterChoice(name: name, parameters: try Setting.parse(parameters.text(), file: file.path))
        }
        guard let published = published[configuration.inputs] else {
            throw Failure.input(
                "the file does not say which filter makes the ControlNet's condition", at: .init(file.path),
                advice: "name it with --filter, or give conditions with --conditioned")
        }
        note(
            "\(file.path) names no filter: taken is \(published), as its condition has \(configuration.inputs) channels"
        )
        return FilterChoice(name: published, parameters: Setting(.null, file: file.path))
    }

    /// The filters of the published ControlNets, by the channels of their conditions.
    private static let published = [1: "CannyFilter", 4: "InpaintFilter", 16: "SREffnetFilter"]

    /// A condition out of a file: the pixels of an image of one or three channels, or the tensor `condition`.
    private static func condition(_ path: String, channels: Int) throws -> Tensor {
        guard path.hasSuffix(".safetensors") else {
            let image = try ImageTensors.tensor([Image(contentsOf: path)])
            switch channels {
            case 1: return try image.sliced(1, 0..<1)
            case 3: return image
            default:
                throw Failure.input(
                    "an image can't be the ControlNet's condition", at: .init(path),
                    expected: "a safetensors file with `condition` [1, \(channels), h, w], as `filter apply --tensor` "
                        + "writes it", got: "an image of 3 channels")
            }
        }
        let condition = try SafetensorsFile(path).required("condition").to(dtype: .float32)
        guard condition.rank == 4, condition.size(0) == 1, condition.size(1) == channels else {
            throw Failure.input(
                "the condition does not suit the ControlNet", at: .init(path),
                expected: "[1, \(channels), h, w]", got: "\(condition.shape)")
        }
        return condition
    }
}
