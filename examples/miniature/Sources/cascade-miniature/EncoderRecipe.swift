import JSON

/// How encoder and previewer are trained.
struct EncoderRecipe {
    var updates = 6000
    var batch = 16
    /// Of AdamW, after the warm-up; it falls along half a cosine to nothing.
    var learningRate = 4e-3
    var warmupUpdates = 100
    var betas = (0.9, 0.99)
    var weightDecay = 0.0
    /// The norm that gradients are cut to.
    var gradientNorm = 1.0
    /// The most noise that the previewer gets on latents, which have deviation 1: what the diffusion will make of them
    /// is not as clean as what the encoder makes. Most images get little, for its part is drawn as the square of a uniform
    /// number.
    var noise = 0.35
    /// What the mean absolute error of differences between neighbouring pixels counts: it keeps edges sharp.
    var gradientWeight = 1.0
    /// What the mean squared error counts.
    var squareWeight = 10.0
    /// The side of the squares that most updates see, at random places: half of an image is background, and a network of
    /// convolutions learns on a part what holds for the whole.
    var square = 64
    /// The part of the updates, the last ones, that see whole images, borders and all.
    var wholeShare = 0.2

    /// All that decides what comes out, beside the architecture.
    var json: JSON {
        [
            "updates": .integer(updates), "batch": .integer(batch), "learning_rate": .number(learningRate),
            "warmup_updates": .integer(warmupUpdates), "weight_decay": .number(weightDecay),
            "betas": [.number(betas.0), .number(betas.1)],
            "gradient_norm": .number(gradientNorm), "noise": .number(noise),
            "gradient_weight": .number(gradientWeight), "square_weight": .number(squareWeight),
            "square": .integer(square), "whole_share": .number(wholeShare),
        ]
    }
}
