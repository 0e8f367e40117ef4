import Cascade
import JSON

/// How text encoder and image encoder are contrasted, and what they are.
struct TowersRecipe {
    var updates = 1500
    var batch = 256
    /// Of AdamW, after the warm-up; it falls along half a cosine to nothing.
    var learningRate = 2e-3
    var warmupUpdates = 100
    var weightDecay = 1e-2
    /// The norm that gradients are cut to.
    var gradientNorm = 1.0
    /// What similarities are divided by at first; it is learned, and falls no lower than the least (Radford et al. 2021).
    var temperature = 0.07
    var leastTemperature = 0.01
    /// The deviation of untrained tokens from the mean of the trained ones, in those's deviations.
    var untrainedDeviation = 0.1

    /// Narrow, for most of it is the table of the whole vocabulary.
    var text: CLIPTextConfiguration = {
        var text = CLIPTextConfiguration()
        text.width = 48
        text.innerWidth = 192
        text.layers = 3
        text.heads = 4
        text.projected = 64
        text.activation = .gelu
        return text
    }()

    var image: CLIPVisionConfiguration = {
        var image = CLIPVisionConfiguration()
        image.width = 64
        image.innerWidth = 192
        image.layers = 3
        image.heads = 4
        image.projected = 64
        image.activation = .gelu
        image.imageSize = 96
        image.patchSize = 12
        return image
    }()

    /// All that decides what comes out.
    var json: JSON {
        [
            "updates": .integer(updates), "batch": .integer(batch), "learning_rate": .number(learningRate),
            "warmup_updates": .integer(warmupUpdates), "weight_decay": .number(weightDecay),
            "gradient_norm": .number(gradientNorm), "temperature": .number(temperature),
            "least_temperature": .number(leastTemperature), "text": text.json, "image": image.json,
        ]
    }
}
