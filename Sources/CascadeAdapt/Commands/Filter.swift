import AdapterKit
import ArgumentParser
import Failures
import Files
import Generation
import Images
import JSON
import Models
import Settings
import Torch
import Weights

/// `filter`: the filters that make a ControlNet's condition.
struct Filter: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the control filters, or try one on an image.",
        subcommands: [FilterList.self, FilterApply.self, FilterSheet.self])
}

/// `filter list`: the filters, their parameters and the files of their networks.
struct FilterList: Action {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the filters with their parameters and model files.",
        discussion: "The model files are those for the default values of the parameters.")

    @Flag(help: "Print JSON.")
    var json = false

    func run(in context: Context) throws {
        let console = Output()
        let models = context.plugIns.models
        if json {
            let filters = try context.plugIns.filters.map { type -> JSON in
                let filter = try Self.standard(type)
                return [
                    "name": .string(type.name), "channels": .integer(filter.channels),
                    "parameters": .array(
                        type.parameters.map {
                            [
                                "name": .string($0.name), "type": .string($0.type),
                                "default": .string($0.defaultValue), "meaning": .string($0.meaning),
                            ]
                        }),
                    "model_files": .array(filter.modelFiles.map { $0.json(models) }),
                ]
            }
            return try console.result(["filters": .array(filters)])
        }
        for type in context.plugIns.filters {
            let filter = try Self.standard(type)
            try console.result("\(type.name)  (channels of the condition: \(filter.channels))")
            for parameter in type.parameters {
                try console.result(
                    "  \(parameter.name): \(parameter.defaultValue)  (\(parameter.type)) \(parameter.meaning)")
            }
            for file in filter.modelFiles { try console.result("  model \(file.name): \(file.whereabouts(models))") }
        }
    }

    /// A filter with the default parameters.
    private static func standard(_ type: any ControlFilter.Type) throws -> any ControlFilter {
        try type.make(Setting.parse("", file: type.name))
    }
}

extension FilterModelFile {
    /// What gets it, where something does.
    private func advice(_ models: [PublishedModel]) -> String? {
        models.first { $0.name == name }?.advice(for: nil)
    }

    /// Where it is or should be, for people.
    fileprivate func whereabouts(_ models: [PublishedModel]) -> String {
        isThere ? "here: \(path)" : "not here (\(path))" + (advice(models).map { ": \($0)" } ?? "")
    }

    fileprivate func json(_ models: [PublishedModel]) -> JSON {
        [
            "name": .string(name), "path": .string(path), "here": .bool(isThere),
            "advice": isThere ? .null : advice(models).map(JSON.string) ?? .null,
        ]
    }
}

extension Setting {
    /// All scalars in it: a parameter may name a file.
    fileprivate var texts: [String] {
        elements?.flatMap(\.texts) ?? members?.flatMap { $0.value.texts } ?? [text].compactMap(\.self)
    }
}

/// `filter apply NAME IMAGE`: what a filter makes of an image.
struct FilterApply: Action {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Run a filter on an image.")

    @Argument(help: "The filter's name, as `filter list` shows it.")
    var name: String

    @Argument(help: "The image: JPEG, PNG or WebP.", completion: .file())
    var image: String

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The image to write, .png or .jpg.", valueName: "file"),
        completion: .file(extensions: ["png", "jpg"]))
    var output: String

    @Option(help: ArgumentHelp("The filter's parameters, such as '{resize: 512}'.", valueName: "yaml"))
    var params: String?

    @Option(
        help: ArgumentHelp(
            "Also write the tensors: condition [1, channels, h, w] and preview [1, 3, H, W].", valueName: "file"),
        completion: .file(extensions: ["safetensors"]))
    var tensor: String?

    @OptionGroup var overwriting: OverwriteOption

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        let parameters = try Setting.parse(params ?? "", file: "--params")
        let filter = try context.plugIns.filter(name, parameters: parameters)
        try overwriting.check(
            [output] + [tensor].compactMap(\.self),
            reading: [image] + parameters.texts.filter(fileExists) + filter.modelFiles.map(\.path))
        _ = try machine.prepared()
        let images = try ImageTensors.tensor([Image(contentsOf: image)])
        let made = try withoutGradients { try filter(images, generator: Generator(seed: machine.seed ?? 0)) }
        if let tensor {
            try SafetensorsWriter.write(
                [
                    ("condition", try made.condition.to(dtype: .float32)),
                    ("preview", try made.preview.to(dtype: .float32)),
                ], to: tensor)
        }
        let shape = made.preview.shape
        guard shape.count == 4, shape[0] == 1, shape[1] == 3, shape[2] > 0, shape[3] > 0 else {
            throw Failure.run("the filter \(name) made no image", expected: "a preview [1, 3, H, W]", got: "\(shape)")
        }
        try ImageTensors.images(made.preview)[0].write(to: output)
        if let remark = filter.remark { machine.output.note("\(name): \(remark)") }
        machine.output.note("\(name): condition \(made.condition.shape), preview in \(output)")
    }
}
