import ArgumentParser
import Failures

/// `generate`: images from prompts.
struct Generate: Action {
    static let configuration = CommandConfiguration(
        abstract: "Generate images from prompts, with any number of adapters.",
        discussion: """
            The text encoder, Stage C, Stage B and Stage A are loaded one after the other; --keep holds all in \
            memory. Weights come from --models, from an inference file, or from where `models get` puts them. PNG \
            files contain their settings, which --like reads.
            """)

    @Argument(
        help: ArgumentHelp(
            "An inference file, of Stage C or of Stage B, or the name of one that `configs` lists.", valueName: "cfg"),
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @Option(
        parsing: .singleValue,
        help: ArgumentHelp(
            "The image that the ControlNets' conditions are made from; once for all, or once for each in order "
                + "(default: --init).",
            valueName: "image"), completion: .file())
    var image: [String] = []

    @OptionGroup var options: ImageOptions

    func run(in context: Context) throws {
        guard options.prompt == nil || options.prompts == nil else {
            throw Failure.input("--prompt and --prompts exclude each other")
        }
        let plan = try ImagePlan(options, configuration: file, images: image, variation: nil, context.plugIns)
        if options.prompts == nil, plan.prompt.isEmpty {
            throw Failure.input("there is no prompt", expected: "--prompt TEXT or --prompts FILE")
        }
        try ImageSession(options, plan, context.plugIns).run()
    }
}
