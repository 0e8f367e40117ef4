import ArgumentParser
import Generation

/// What `generate` and `vary` are given alike.
struct ImageOptions: ParsableArguments {
    @Option(help: "The prompt.")
    var prompt: String?

    @Option(
        help: ArgumentHelp(
            "A file with one prompt per line, each optionally followed by --n NEGATIVE --w WIDTH --h HEIGHT --d SEED "
                + "--l CFG "
                + "--s STEPS.", valueName: "file"), completion: .file())
    var prompts: String?

    @Option(help: "The negative prompt.")
    var negative: String?

    @Option(help: ArgumentHelp("Size of the image in pixels (default: 1024x1024).", valueName: "WxH"))
    var size: SizeArgument?

    @Option(help: "Number of images for each prompt; image i has the seed --seed + i.")
    var count = 1

    @Option(help: ArgumentHelp("Sampling steps of Stage C, and of Stage B (default: 20,10).", valueName: "c[,b]"))
    var steps: StagesArgument<Int>?

    @Option(help: ArgumentHelp("Guidance scale of both (default: 4,1.1).", valueName: "c[,b]"))
    var cfg: StagesArgument<Double>?

    @Option(help: ArgumentHelp("Shift of the noise schedule of both (default: 2,1).", valueName: "c[,b]"))
    var shift: StagesArgument<Double>?

    @Option(help: "The sampler (default: ddpm).")
    var sampler: SamplerName?

    @Option(
        help: ArgumentHelp(
            "How Stage C's latents are decoded: by Stages B and A, or by the previewer, which is quick and "
                + "coarse."))
    var decoder: GenerationPipeline.DecoderName?

    @Option(
        name: .customLong("lora"), parsing: .singleValue,
        help: ArgumentHelp(
            "A LoRA, learned tokens or another adapter for modules, in any format. "
                + "Repeatable.", valueName: "file[:weight]"),
        completion: .file())
    var loras: [AdapterReference] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "The part of the sampling steps in which they are active, from 0 to 1; once for all, or once for "
                + "each.", valueName: "from:until"))
    var loraWindow: [WindowArgument] = []

    @Option(
        name: .customLong("controlnet"), parsing: .singleValue,
        help: ArgumentHelp("A ControlNet. Repeatable.", valueName: "file[:strength]"), completion: .file())
    var controlNets: [AdapterReference] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "The part of the sampling steps in which the ControlNets are active, from 0 to 1; once for all, or once "
                + "for each.", valueName: "from:until"))
    var window: [WindowArgument] = []

    @Flag(help: "The images are conditions already; no filter is run.")
    var conditioned = false

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "The filter of a ControlNet whose file names none; once for all, or once for each.",
            valueName: "name"))
    var controlFilter: [String] = []

    @Option(
        name: .customLong("init"), help: ArgumentHelp("An image to start from.", valueName: "image"),
        completion: .file())
    var start: String?

    @Option(help: "Denoising strength for --init, above 0 to 1 (default: 0.7).")
    var denoise: Double?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A mask, white where --init is redrawn and where inpainting filters cut; once, or once for each "
                + "ControlNet.",
            valueName: "image"), completion: .file())
    var mask: [String] = []

    @Option(
        help: ArgumentHelp("An inference file of Stage B.", valueName: "cfg"),
        completion: .file(extensions: ["yaml", "yml"]))
    var stageB: String?

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "Override a key of the configuration; keys of Stage B's begin with `stage_b.`. Repeatable.",
            valueName: "key=value"))
    var overrides: [String] = []

    @OptionGroup var weights: WeightOptions

    @Option(
        help: ArgumentHelp(
            "Repeat the settings of a PNG that generate wrote; other options change "
                + "them.", valueName: "image.png"),
        completion: .file(extensions: ["png"]))
    var like: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A labelled grid over values of lora, controlnet, seed, steps, cfg or denoise; twice for columns and rows.",
            valueName: "key=a,b,c"))
    var sweep: [String] = []

    @Option(
        help: ArgumentHelp("The starting noise: `stage_c` and `stage_b`, [B, c, h, w].", valueName: "in.safetensors"),
        completion: .file())
    var noise: String?

    @Option(
        help: ArgumentHelp(
            "Write the latents and images: `stage_c`, `stage_b`, `image`.", valueName: "out.safetensors"),
        completion: .file())
    var latents: String?

    @Option(help: "Batch size: how many images go through a stage at once.")
    var batch = 1

    @Flag(help: "Keep all networks loaded, and finish each image before the next.")
    var keep = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("A file in .png, .jpg or .webp, or a folder.", valueName: "out"), completion: .file())
    var output: String

    @Flag(help: "Print JSON: files, seeds, seconds.")
    var json = false

    @OptionGroup var reading: AdapterReadingOptions

    @OptionGroup var overwriting: OverwriteOption

    @OptionGroup var machine: MachineOptions
}
