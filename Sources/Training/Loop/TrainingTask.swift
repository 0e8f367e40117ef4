import Diffusion
import Layers
import Loading
import Optimization
import Torch

/// What a recipe hands to the train loop.
struct TrainingTask {
    /// The name of the files: `controlnet`, `lora` or `generator`.
    var name: String
    var groups: [ParameterGroup]
    /// The learning rates that parts of it have of their own, by name, as factors of the update's.
    var ownRates: [(name: String, factor: Double)] = []
    /// The recipe's own keys that say how it is trained, and nothing of what the validation loss is measured on.
    var trainingKeys: Set<String> = []
    /// Whether the stage itself is trained: the file it began from is then of no account once it has a checkpoint.
    var isWhole = false
    /// What is trained, as its file describes it: a checkpoint of something else has other words.
    var description: [String: String] = [:]
    /// What the run reads and does not make.
    var inputs = RunInputs()
    /// The loss of a micro batch, with the graph to differentiate.
    var loss: (ImageBatch, Draws) throws -> TrainingLoss
    /// Writes what is trained, and gives the file's SHA-256.
    var write: (_ path: String, _ updates: Int) throws -> String
    /// Writes the running mean in float32 where what is trained can't hold it; nil where it can.
    var writeAverage: ((_ path: String, _ updates: Int, _ means: [(name: String, tensor: Tensor)]) throws -> String)?
    /// Lets go what no update has asked for in a while; whether there was anything.
    var endUpdate: () -> Bool = { false }
    /// What processes share and train together; ``groups`` are then this process's parts of it. Nil where each trains all.
    var sharing: SharedBlocks?
    /// What ``groups`` are parts of then.
    var parts: SharedTensors?
    /// How often one backward pass adds to the gradient of a tensor, by its name.
    var arrivals: (_ name: String) -> Int = { _ in 1 }
    /// What a resumed run takes up of the file that was written.
    var restored: [(name: String, tensor: Tensor)]
    /// What is measured and shown beside the training.
    var evaluation: Evaluation
    /// Take in what an update learned of the losses: adaptive weights, an adaptive schedule.
    var learners: [any LossLearner]
}
