import ArgumentParser
import Cascade
import Failures
import Files
import Generation
import Images
import Shards
import Torch
import Weights

/// `models draw tiny`: small networks around Stage C, drawn from a seed.
struct ModelsDraw: Action {
    static let configuration = CommandConfiguration(
        commandName: "draw",
        abstract: "Write small random encoders, to try everything without a download.",
        discussion: """
            Writes effnet_encoder.safetensors, previewer.safetensors and clip-text/ to a folder. The weights are \
            random; batch norms are measured on images, and the previewer is fitted a little. They serve to try the \
            program, not to make good images.
            """)

    enum Size: String, CaseIterable, ExpressibleByArgument { case tiny }

    @Argument(help: "The size: tiny.")
    var size: Size

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The folder to write to.", valueName: "folder"),
        completion: .directory)
    var output: String

    @Option(
        help: ArgumentHelp("A tar or a folder of tars with images to measure the batch norms on.", valueName: "path"),
        completion: .file())
    var data: String?

    @Option(
        help: ArgumentHelp("The tokenizer whose files are copied beside the text encoder.", valueName: "folder"),
        completion: .directory)
    var tokenizer = "models/clip-tokenizer"

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        guard try machine.prepared() == .cpu else {
            throw Failure.input("models are drawn on the CPU", expected: "--device cpu", got: machine.device)
        }
        guard Folder.isFolder(tokenizer) else {
            throw Failure.input(
                "there is no tokenizer to lay beside the text encoder", at: Failure.Place(tokenizer),
                expected: "a folder with vocab.json and merges.txt",
                advice: "make it with `make setup`, or give --tokenizer")
        }
        _ = try CLIPTokenizer(folder: tokenizer)
        try Folder.make("\(output)/clip-text")
        let console = machine.output
        let configuration = DrawnModels.Configuration()
        let images = try images(configuration)
        let measured =
            data == nil
            ? "images of coloured clouds, drawn too (give --data for real ones)" : "\(images.count) images"
        console.note("drawing EffNet, previewer and text encoder; measuring batch norms on \(measured)")
        let seed = machine.seed ?? 0
        let models = try DrawnModels(configuration, seed: seed, images: images) { update in
            if update % 50 == 0 {
                console.note("fitting the previewer: update \(update) of \(configuration.previewerUpdates)")
            }
        }
        try write(models, note: "drawn from seed \(seed), for trials")
        let (before, after) = models.previewerLoss
        try console.result(
            "\(output): effnet_encoder.safetensors, previewer.safetensors and clip-text/, drawn from seed \(seed)")
        try console.result(
            "batch norms measured on \(measured); previewer fitted to them in \(configuration.previewerUpdates) "
                + "updates, mean squared error \(Self.short(before)) to \(Self.short(after))")
    }

    private static func short(_ value: Double) -> String { "\((value * 10_000).rounded() / 10_000)" }

    private func write(_ models: DrawnModels, note: String) throws {
        let metadata = ["description": note]
        try SafetensorsWriter.write(
            models.effNet.tensors, metadata: metadata, to: "\(output)/effnet_encoder.safetensors")
        try SafetensorsWriter.write(models.previewer.tensors, metadata: metadata, to: "\(output)/previewer.safetensors")
        try SafetensorsWriter.write(
            models.text.tensors, metadata: metadata, to: "\(output)/clip-text/model.safetensors")
        try writeAtomically(
            DrawnModels.textConfiguration.json.text() + "\n", to: "\(output)/clip-text/config.json")
        for name in try Folder.names(tokenizer)
        where ["vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
            .contains(name)
        {
            try writeAtomically(readFile("\(tokenizer)/\(name)", limit: 64 << 20), to: "\(output)/clip-text/\(name)")
        }
    }

    /// The first images of the data, cut to squares; where no data is given, clouds of colour.
    private func images(_ configuration: DrawnModels.Configuration) throws -> [Image] {
        let side = configuration.imageSide
        guard let data else {
            let generator = try Generator(seed: machine.seed ?? 0, stream: 5, update: 0)
            let clouds = try generator.uniform([16, 3, 6, 6])
            return try ImageTensors.images(clouds, height: side, width: side)
        }
        let reader = ShardReader(
            shards: try resolveShards([data], access: machine.shardAccess), outages: .end)
        var images: [Image] = []
        while images.count < configuration.images, let sample = reader.next() {
            guard let bytes = sample.image, let image = try? Image(decoding: bytes, name: sample.place) else {
                continue
            }
            images.append(image.square(side: side))
        }
        if let outage = reader.outage { throw outage }
        guard !images.isEmpty else {
            throw Failure.input(
                "there is no image in the data", at: Failure.Place(data), expected: "a tar with images",
                got: reader.drops.isEmpty ? nil : reader.drops.description)
        }
        return images
    }
}

extension Image {
    /// The middle of the image as a square, resized first so that its shorter side fits.
    fileprivate func square(side: Int) -> Image {
        let scale = Double(side) / Double(min(width, height))
        let resized = resized(
            width: max(side, Int((Double(width) * scale).rounded())),
            height: max(side, Int((Double(height) * scale).rounded())))
        return resized.centreCropped(width: side, height: side)
    }
}
