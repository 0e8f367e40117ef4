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
        abstract: "Draw small encoders from a seed, to try everything without a download.",
        discussion: """
            Writes effnet_encoder.safetensors, previewer.safetensors and clip-text/ to a folder. Their weights are \
            random, their batch norms are measured on pictures, and the previewer is fitted a little to them: they \
            show the machinery, not art.
            """)

    enum Size: String, CaseIterable, ExpressibleByArgument { case tiny }

    @Argument(help: "The size: tiny.")
    var size: Size

    @Option(
        name: .shortAndLong, help: ArgumentHelp("The folder to write to.", valueName: "folder"),
        completion: .directory)
    var output: String

    @Option(
        help: ArgumentHelp("A tar or a folder of tars whose pictures are looked at.", valueName: "path"),
        completion: .file())
    var data: String?

    @Option(
        help: ArgumentHelp("The tokenizer whose files are laid beside the text tower.", valueName: "folder"),
        completion: .directory)
    var tokenizer = "models/clip-tokenizer"

    @OptionGroup var machine: MachineOptions

    func run(in context: Context) throws {
        guard try machine.prepared() == .cpu else {
            throw Failure.input("models are drawn on the CPU", expected: "--device cpu", got: machine.device)
        }
        guard Folder.isFolder(tokenizer) else {
            throw Failure.input(
                "there is no tokenizer to lay beside the text tower", at: Failure.Place(tokenizer),
                expected: "a folder with vocab.json and merges.txt",
                advice: "make it with `make setup`, or give --tokenizer")
        }
        _ = try CLIPTokenizer(folder: tokenizer)
        try Folder.make("\(output)/clip-text")
        let console = machine.output
        let configuration = DrawnModels.Configuration()
        let pictures = try pictures(configuration)
        let measured =
            data == nil
            ? "pictures of coloured clouds, drawn too (give --data for real ones)" : "\(pictures.count) pictures"
        console.note("drawing EffNet, previewer and text tower; measuring batch norms on \(measured)")
        let seed = machine.seed ?? 0
        let models = try DrawnModels(configuration, seed: seed, pictures: pictures) { update in
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

    /// The first pictures of the data, cut to squares; where no data is given, clouds of colour.
    private func pictures(_ configuration: DrawnModels.Configuration) throws -> [Picture] {
        let side = configuration.pictureSide
        guard let data else {
            let generator = try Generator(seed: machine.seed ?? 0, stream: 5, update: 0)
            let clouds = try generator.uniform([16, 3, 6, 6])
            return try ImageTensors.images(clouds, height: side, width: side)
        }
        let reader = ShardReader(
            shards: try resolveShards([data], access: machine.shardAccess), outages: .end)
        var pictures: [Picture] = []
        while pictures.count < configuration.pictures, let sample = reader.next() {
            guard let bytes = sample.picture, let picture = try? Picture(decoding: bytes, name: sample.place) else {
                continue
            }
            pictures.append(picture.square(side: side))
        }
        if let outage = reader.outage { throw outage }
        guard !pictures.isEmpty else {
            throw Failure.input(
                "there is no picture in the data", at: Failure.Place(data), expected: "a tar with pictures",
                got: reader.drops.isEmpty ? nil : reader.drops.description)
        }
        return pictures
    }
}

extension Picture {
    /// The middle of the picture as a square, resized first so that its shorter side fits.
    fileprivate func square(side: Int) -> Picture {
        let scale = Double(side) / Double(min(width, height))
        let resized = resized(
            width: max(side, Int((Double(width) * scale).rounded())),
            height: max(side, Int((Double(height) * scale).rounded())))
        return resized.centreCropped(width: side, height: side)
    }
}
