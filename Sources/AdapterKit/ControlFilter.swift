import Models
import Settings
import Torch

/// Makes a ControlNet's condition of images: edges, poses, masks.
///
/// A filter is added by conforming to this protocol and naming the type in `CascadeAdapt.main(adding:)`.
public protocol ControlFilter: Sendable {
    /// The name under `controlnet_filter:`.
    static var name: String { get }

    /// The keys under `controlnet_filter_params:`, for `filter list`.
    static var parameters: [FilterParameter] { get }

    /// The models that the filter may take, whatever its parameters: `models list` and `models get` know them.
    static var models: [PublishedModel] { get }

    /// Whether the filter takes a mask for each image, which a configuration names under `masks:`.
    static var takesMasks: Bool { get }

    /// The parameter that takes how many pixels of an image's side there are for each of the latents' of the model, where
    /// the condition lies on their grid; training gives it the model's.
    static var strideParameter: String? { get }

    /// Reads `controlnet_filter_params:`; a key that is not asked for is refused afterwards.
    init(parameters: inout Fields) throws

    /// Channels of the condition.
    var channels: Int { get }

    /// What the log should say of this filter, in one line; such as which of two ways it goes.
    var remark: String? { get }

    /// The files of networks that the filter takes with its parameters, there or not.
    var modelFiles: [FilterModelFile] { get }

    /// Opens what the filter needs beside its parameters, such as a model's file, so that a run ends before it begins
    /// where that is missing. A filter is called without it too.
    func prepare() throws

    /// The condition of images. Training asks for each image's by itself, in several threads at once.
    ///
    /// A failure of the input leaves the image out of training, any other ends the run. Images of one size have
    /// conditions of one size. A condition for which nothing was drawn may be kept and used again.
    /// - Parameters:
    ///   - images: [B, 3, H, W], RGB in 0...1, float32 on the CPU.
    ///   - generator: the only source of randomness, so that a seed repeats a run.
    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition

    /// The condition of images that have masks, otherwise likewise. Asked of filters that take them.
    /// - Parameters:
    ///   - images: [B, 3, H, W], RGB in 0...1, float32 on the CPU.
    ///   - masks: [B, 1, H, W] in 0...1, 1 for what is meant, float32 on the CPU.
    ///   - generator: the only source of randomness.
    func callAsFunction(_ images: Tensor, masks: Tensor, generator: Generator) throws -> ControlCondition
}

extension ControlFilter {
    /// None: most filters have no network.
    public static var models: [PublishedModel] { [] }

    /// None: most filters look at the image alone.
    public static var takesMasks: Bool { false }

    /// None: most conditions have the image's own size.
    public static var strideParameter: String? { nil }

    /// The condition of the images alone.
    public func callAsFunction(_ images: Tensor, masks: Tensor, generator: Generator) throws -> ControlCondition {
        try self(images, generator: generator)
    }

    /// Nothing: most filters have one way.
    public var remark: String? { nil }

    /// None: most filters have no network.
    public var modelFiles: [FilterModelFile] { [] }

    /// Nothing: most filters need nothing.
    public func prepare() {}

    /// A filter of this kind by its parameters; a mapping, or null for the defaults.
    /// - Throws: a failure of the input that names an unknown or mistyped parameter.
    public static func make(_ parameters: Setting) throws -> Self {
        var fields = try parameters.fields()
        let filter = try Self(parameters: &fields)
        try fields.finish()
        return filter
    }
}

/// What a filter makes of a batch of images.
public struct ControlCondition {
    /// What the ControlNet sees, [B, channels, h, w].
    public let condition: Tensor
    /// What a person can look at, [B, 3, H, W] in 0...1.
    public let preview: Tensor

    /// - Parameters:
    ///   - condition: [B, channels, h, w].
    ///   - preview: [B, 3, H, W] in 0...1.
    public init(condition: Tensor, preview: Tensor) {
        self.condition = condition
        self.preview = preview
    }
}

/// The file of a network that a filter takes.
public struct FilterModelFile: Sendable, Equatable {
    /// What `models get` knows it by, such as "pidinet".
    public let name: String
    /// Where it lies, or should.
    public let path: String
    /// Whether the file is there.
    public let isThere: Bool

    /// - Parameters:
    ///   - name: what `models get` knows it by.
    ///   - path: where it lies, or should.
    ///   - isThere: whether it does.
    public init(name: String, path: String, isThere: Bool) {
        self.name = name
        self.path = path
        self.isThere = isThere
    }
}

/// One key of a filter's parameters, as `filter list` shows it.
public struct FilterParameter: Sendable {
    /// The key.
    public let name: String
    /// Such as "whole number" or "list of numbers".
    public let type: String
    /// As it would be written in YAML.
    public let defaultValue: String
    /// What it decides, in a few words.
    public let meaning: String

    /// - Parameters:
    ///   - name: the key.
    ///   - type: such as "whole number".
    ///   - defaultValue: as it would be written in YAML.
    ///   - meaning: what it decides, in a few words.
    public init(_ name: String, type: String, default defaultValue: String, _ meaning: String) {
        self.name = name
        self.type = type
        self.defaultValue = defaultValue
        self.meaning = meaning
    }
}
