import ArgumentParser
import Layers

/// Where the commands that make images find networks, and how they keep them.
struct WeightOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder of models; what `models get` brought if left out.", valueName: "folder"), completion: .directory
    )
    var models: String?

    @Option(help: "What weights are kept in: float32 or bfloat16; as their files have them if left out.")
    var dtype: ComputeType?

    @Option(
        help: """
            What the matrices of stages and of the text tower are kept in: bfloat16, int8 (a scale for each row) or nf4 \
            (a little more than four bits a number); as all weights if left out.
            """
    )
    var baseDtype: BaseDType?
}

extension BaseDType: ExpressibleByArgument {}
