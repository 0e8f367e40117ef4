import ArgumentParser
import Failures

/// `vary`: images like one that there is, by CLIP's embedding of it.
struct Vary: Action {
    static let configuration = CommandConfiguration(
        abstract: "Generate variations of an image.",
        discussion: """
            Stage C is conditioned on CLIP's embedding of the image, and on a prompt if one is given. ControlNets \
            get the same image.
            """)

    @Argument(
        help: ArgumentHelp("An inference file, of Stage C or of Stage B.", valueName: "cfg"),
        completion: .file(extensions: ["yaml", "yml"]))
    var file: String?

    @Option(help: ArgumentHelp("The image to vary.", valueName: "image"), completion: .file())
    var image: String

    @OptionGroup var options: ImageOptions

    func run(in context: Context) throws {
        guard options.prompt == nil || options.prompts == nil else {
            throw Failure.input("--prompt and --prompts exclude each other")
        }
        let plan = try ImagePlan(options, configuration: file, images: [], variation: image, context.plugIns)
        try ImageSession(options, plan, context.plugIns).run()
    }
}
