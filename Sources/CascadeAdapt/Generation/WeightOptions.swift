import ArgumentParser

/// Where the commands that make images find networks, and how they keep them.
struct WeightOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The folder of models; what `models get` brought if left out.", valueName: "folder"), completion: .directory
    )
    var models: String?

    @Option(help: "What weights are kept in: float32 or bfloat16; as their files have them if left out.")
    var dtype: ComputeType?
}
