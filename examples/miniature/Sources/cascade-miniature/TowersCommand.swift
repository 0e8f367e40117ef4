import ArgumentParser
import Cascade
import Failures
import Files
import JSON
import Layers
import Telemetry
import Torch
import Weights

/// `cascade-miniature towers`.
struct TowersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "towers",
        abstract: "Train text encoder and image encoder against each other: clip-text/ and clip-image/.")

    @OptionGroup var options: TrainingOptions

    @Option(
        help: ArgumentHelp("The tokenizer whose vocabulary the text encoder has.", valueName: "folder"),
        completion: .directory)
    var tokenizer = "models/clip-tokenizer"

    func run() throws {
        try options.prepare()
        guard Folder.isFolder(tokenizer) else {
            throw Failure.input(
                "there is no tokenizer for the text encoder", at: Failure.Place(tokenizer),
                expected: "a folder with vocab.json and merges.txt",
                advice: "make it with `make setup`, or give --tokenizer")
        }
        let tokenizer = try CLIPTokenizer(folder: tokenizer)
        let data = try MiniatureData(options.data)
        let judged = try ["seen", "pairs"].map { ($0, try data.heldOut($0)) }
        let console = Console.standardError()
        let images = try data.training()
        console.log("\(images.count) images of \(images.side) x \(images.side) pixels to train on")
        var recipe = TowersRecipe()
        recipe.updates = options.steps ?? recipe.updates
        recipe.batch = options.batch ?? recipe.batch
        let training = try TowersTraining(recipe, tokenizer: tokenizer, seed: options.seed, images: images)
        try training.train(in: path("training/towers", in: options.output), console: console)

        let files = try training.files()
        let (text, image) = (path("clip-text", in: options.output), path("clip-image", in: options.output))
        try Self.write(files.text, recipe.text.json, to: text)
        try Self.write(files.image, recipe.image.json, to: image)
        print("\(text), \(image): trained in \(recipe.updates) updates")
        let answers = Self.answers(images.labels + judged.flatMap(\.1.labels))
        // Measured on the files, as everybody else will read them.
        let nearest = try NearestCaption(
            text: TextEncoder(tower: Self.textTower(text, recipe.text), tokenizer: tokenizer),
            image: ImageEncoder(tower: Self.imageTower(image, recipe.image)), answers: answers)
        for (name, images) in judged {
            let shares = try nearest.shares(of: images)
            print(
                "\(name): nearest of \(answers.count) captions has the right subject \(rounded(100 * shares.subject)) %, "
                    + "the right background \(rounded(100 * shares.background)) %, \(images.count) images")
        }
    }

    /// One caption for each subject on each background there is.
    private static func answers(_ labels: [ImageLabel]) -> [ImageLabel] {
        var known: Set<ImageLabel> = []
        return labels.filter { $0.namesBackground && known.insert($0).inserted }
    }

    private static func write(
        _ tensors: [(name: String, tensor: Tensor)], _ configuration: JSON, to folder: String
    ) throws {
        try Folder.make(folder)
        try SafetensorsWriter.write(tensors, to: path("model.safetensors", in: folder))
        try writeAtomically(configuration.text() + "\n", to: path("config.json", in: folder))
    }

    private static func store(_ folder: String) throws -> ParameterStore {
        ParameterStore(from: StoredParameters(try SafetensorsFile(path("model.safetensors", in: folder))))
    }

    private static func textTower(_ folder: String, _ configuration: CLIPTextConfiguration) throws -> CLIPTextTower {
        let store = try store(folder)
        let tower = try CLIPTextTower(configuration, store.root)
        try store.finish()
        return tower
    }

    private static func imageTower(
        _ folder: String, _ configuration: CLIPVisionConfiguration
    ) throws -> CLIPVisionTower {
        let store = try store(folder)
        let tower = try CLIPVisionTower(configuration, store.root)
        try store.finish()
        return tower
    }
}
