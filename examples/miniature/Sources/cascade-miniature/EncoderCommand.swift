import ArgumentParser
import Cascade
import Files
import Settings
import Telemetry
import Weights

/// `cascade-miniature encoder`.
struct EncoderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "encoder",
        abstract: "Train encoder and previewer together: effnet.safetensors and previewer.safetensors.")

    @OptionGroup var options: TrainingOptions

    @Option(
        help: ArgumentHelp("The architecture file, whose effnet and previewer are trained.", valueName: "file"),
        completion: .file(extensions: ["yaml"]))
    var architecture = "examples/miniature/stage_c.yaml"

    func run() throws {
        try options.prepare()
        let architecture: StageCConfiguration = try Setting.read(architecture).read()
        let data = try MiniatureData(options.data)
        let judged = try ["judging", "tuning"].map { ($0, try data.heldOut($0)) }
        let console = Console.standardError()
        let images = try data.training()
        console.log("\(images.count) images of \(images.side) x \(images.side) pixels to train on")
        var recipe = EncoderRecipe()
        recipe.updates = options.steps ?? recipe.updates
        recipe.batch = options.batch ?? recipe.batch
        let training = try EncoderTraining(recipe, architecture, seed: options.seed, images: images)
        try training.train(in: path("training/encoder", in: options.output), console: console)

        let files = try training.files()
        let (encoder, previewer) = (
            path("effnet.safetensors", in: options.output), path("previewer.safetensors", in: options.output)
        )
        try SafetensorsWriter.write(files.encoder, to: encoder)
        try SafetensorsWriter.write(files.previewer, to: previewer)
        // Measured on the files, as everybody else will read them.
        let reconstruction = Reconstruction(
            encoder: try .load(SafetensorsFile(encoder), architecture.encoder),
            previewer: try .load(SafetensorsFile(previewer)))
        print("\(encoder), \(previewer): trained in \(recipe.updates) updates")
        for (name, images) in judged {
            let ratio = try reconstruction.meanPSNR(of: images)
            print("\(name): PSNR \(rounded(ratio)) dB, mean of \(images.count) images")
        }
    }
}

/// With two decimals.
func rounded(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
