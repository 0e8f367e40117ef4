import Loading
import Shards

/// How a run ended.
public struct RunOutcome {
    /// Updates that are done in all, those before the run was resumed among them.
    public var updates: Int
    /// The file of what was trained.
    public var checkpoint: String
    /// The folder of previews and metrics.
    public var output: String
    /// False where a signal ended the run early.
    public var isComplete: Bool
    /// nil where no validation loss was measured, or the run is not complete.
    public var validation: ValidationReport?
    /// What it was trained on since it was last started.
    public var loaded = LoadedData()
    /// What was left out of the data since the run was last started, by reason.
    public var drops = DroppedSamples()
    /// How many images and captions were encoded and not found in `cache_dir`; nil without one.
    public var encoded: (images: Int, captions: Int)?
    /// How many conditions were put into `cache_dir`, which does not take what chance has a part in; nil without one, or
    /// without a filter.
    public var conditions: Int?

    /// How each of several processes does.
    var processes: [ProcessTimes.Rate] = []

    /// How a run stands that goes on.
    /// - Parameter times: of several processes.
    init(
        _ progress: TrainingProgress, checkpoint: String, output: String, _ loader: BatchLoader, _ times: ProcessTimes?
    ) {
        updates = progress.updates
        self.checkpoint = checkpoint
        self.output = output
        isComplete = false
        loaded = loader.loaded
        drops = loader.drops
        processes = times?.rates ?? []
    }
}
