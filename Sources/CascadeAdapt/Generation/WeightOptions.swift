import ArgumentParser
import Layers

/// Where the commands that make images find networks, and how they keep them.
struct WeightOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder of models (default: where `models get` puts "
                + "them).", valueName: "folder"), completion: .directory
    )
    var models: String?

    @Option(help: "The dtype of the weights (default: as in their files).")
    var dtype: ComputeType?

    @Option(
        help: """
            The dtype of the matrices of the stages and of the text encoder: bfloat16, int8 (a scale for each row) or \
            nf4 (about 4.1 bits for each number) (default: as the other weights).
            """
    )
    var baseDtype: BaseDType?
}

extension BaseDType: ExpressibleByArgument {}
