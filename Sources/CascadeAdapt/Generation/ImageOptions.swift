import ArgumentParser
import Generation

/// What `generate` and `vary` are given alike.
struct ImageOptions: ParsableArguments {
    @Option(help: "What the image shows.")
    var prompt: String?

    @Option(
        help: ArgumentHelp(
            "A file with a prompt on each line, and behind it --n NEGATIVE --w WIDTH --h HEIGHT --d SEED --l CFG "
                + "--s STEPS.", valueName: "file"), completion: .file())
    var prompts: String?

    @Option(help: "What the image does not show.")
    var negative: String?

    @Option(help: ArgumentHelp("Sides in pixels; 1024x1024 if left out.", valueName: "WxH"))
    var size: SizeArgument?

    @Option(help: "How many images of each prompt; image i has the seed --seed + i.")
    var count = 1

    @Option(help: ArgumentHelp("Steps of Stage C, and of Stage B; 20,10 if left out.", valueName: "c[,b]"))
    var steps: StagesArgument<Int>?

    @Option(help: ArgumentHelp("Strength of the guidance, likewise; 4,1.1 if left out.", valueName: "c[,b]"))
    var cfg: StagesArgument<Double>?

    @Option(help: ArgumentHelp("Shift of the schedule, likewise; 2,1 if left out.", valueName: "c[,b]"))
    var shift: StagesArgument<Double>?

    @Option(help: "ddpm, ddim or lcm; ddpm if left out.")
    var sampler: SamplerName?

    @Option(help: "What makes the image of Stage C's latents: stages, or previewer for a quick look.")
    var decoder: GenerationPipeline.DecoderName?

    @Option(
        name: .customLong("lora"), parsing: .singleValue,
        help: ArgumentHelp(
            "LoRA layers, learned tokens and their like, in any format. Repeatable.", valueName: "file[:weight]"),
        completion: .file())
    var loras: [AdapterReference] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Shares of the steps in which they count; once for all, or once for each.", valueName: "from:until"))
    var loraWindow: [WindowArgument] = []

    @Option(
        name: .customLong("controlnet"), parsing: .singleValue,
        help: ArgumentHelp("A ControlNet. Repeatable.", valueName: "file[:strength]"), completion: .file())
    var controlNets: [AdapterReference] = []

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "Shares of the steps in which ControlNets count; once for all, or once for each.", valueName: "from:until"))
    var window: [WindowArgument] = []

    @Flag(help: "The ControlNets' images are conditions already.")
    var conditioned = false

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "The filter that makes the condition, where a ControlNet's file names none; once for all, or once for each.",
            valueName: "name"))
    var controlFilter: [String] = []

    @Option(
        name: .customLong("init"), help: ArgumentHelp("An image to start from.", valueName: "image"),
        completion: .file())
    var start: String?

    @Option(help: "How much noise is laid over it, above 0 to 1; 0.7 if left out.")
    var denoise: Double?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "White where --init is made anew and where inpainting filters cut; once, or once for each ControlNet.",
            valueName: "image"), completion: .file())
    var mask: [String] = []

    @Option(
        help: ArgumentHelp("An inference file of Stage B.", valueName: "cfg"),
        completion: .file(extensions: ["yaml", "yml"]))
    var stageB: String?

    @Option(
        name: .customLong("set"), parsing: .singleValue,
        help: ArgumentHelp(
            "Override a key of the configuration, or behind `stage_b.` of Stage B's. Repeatable.",
            valueName: "key=value"))
    var overrides: [String] = []

    @OptionGroup var weights: WeightOptions

    @Option(
        help: ArgumentHelp("Make a PNG image of ours again; other options change it.", valueName: "image.png"),
        completion: .file(extensions: ["png"]))
    var like: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "A labelled grid over values of lora, controlnet, seed, steps, cfg or denoise; twice for rows too.",
            valueName: "key=a,b,c"))
    var sweep: [String] = []

    @Option(
        help: ArgumentHelp("Noise to begin with: `stage_c` and `stage_b`, [B, c, h, w].", valueName: "in.safetensors"),
        completion: .file())
    var noise: String?

    @Option(
        help: ArgumentHelp(
            "Write the latents and images: `stage_c`, `stage_b`, `image`.", valueName: "out.safetensors"),
        completion: .file())
    var latents: String?

    @Option(help: "How many images go through a stage at once.")
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
