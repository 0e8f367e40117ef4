import Failures
import Files
import Glibc
import JSON
import Optimization
import Telemetry
import Torch
import Weights

/// A training from the first update to the last, in a folder from which a killed one goes on.
///
/// What an update draws comes from its number, and weights, moments, statistics and the number are all that it depends
/// on: a run that was killed ends with the same bytes as one that was not.
struct TrainingRun {
    /// What the folder is for, in messages.
    let title: String
    let folder: String
    /// All that decides what comes out; a folder that was begun with other values is refused.
    let recipe: JSON
    let schedule: LearningRateSchedule
    let clipping: GradientClipping
    /// Images of an update.
    let batch: Int
    let console: Console

    private static let secondsBetweenCheckpoints = 60.0

    private var checkpoint: String { path("checkpoint.safetensors", in: folder) }

    /// Trains.
    /// - Parameters:
    ///   - networks: all that are trained.
    ///   - further: leaves that the optimizer steps beside them.
    ///   - loss: of an update, counted from 1: a single number, with its graph.
    func callAsFunction(
        _ networks: [MasterWeights], further: [(name: String, tensor: Tensor)] = [], _ optimizer: AdamW,
        loss: (Int) throws -> Tensor
    ) throws {
        try Folder.make(folder)
        let lock = try FolderLock(folder)
        defer { withExtendedLifetime(lock) {} }
        let state = networks.flatMap(\.state) + further + optimizer.state
        let done = try restored(state, optimizer)
        for network in networks { try network.publish() }
        var smoothed: Double?
        let metrics = try MetricsLog(path: path("metrics.jsonl", in: folder), resumeAfter: done) {
            smoothed = $0["loss"]?.doubleValue
        }
        var progress = ProgressBar(title, total: schedule.updates, done: done, console: console, now: Self.now)
        if done > 0 { console.log("\(title): goes on after update \(done)") }
        Interruption.install()
        var lastSaved = Self.now()
        for update in done + 1..<schedule.updates + 1 {
            let began = Self.now()
            let number = try withGradients(enabled: true) {
                let loss = try loss(update)
                try loss.backward()
                return try loss.item()
            }
            guard number.isFinite else {
                throw Failure.run(
                    "the loss of update \(update) is no number", at: .init(folder),
                    advice: "begin in another folder with another --seed, or with a smaller learning rate")
            }
            for network in networks { try network.takeGradients() }
            let (norm, scale) = try clipping(optimizer.groups)
            let rate = schedule(update)
            try optimizer.step(learningRate: rate, gradientScale: scale)
            try optimizer.clearGradients()
            for network in networks { try network.publish() }
            let mean = smoothed.map { 0.98 * $0 + 0.02 * number } ?? number
            smoothed = mean
            let seconds = Self.now() - began
            try metrics.append(
                UpdateMetrics(
                    step: update, loss: mean, rawLoss: number, gradNorm: norm, lr: rate, seconds: seconds,
                    samplesPerSecond: Double(batch) / seconds, dataSeconds: 0))
            progress.update(done: update, loss: mean)
            let isLast = update == schedule.updates
            if isLast || Interruption.isRequested || Self.now() - lastSaved > Self.secondsBetweenCheckpoints {
                try save(state, after: update)
                lastSaved = Self.now()
            }
            if Interruption.isRequested, !isLast {
                progress.finish()
                console.log("\(title): stopped after update \(update); the same command goes on from there")
                exit(130)
            }
        }
        progress.finish()
    }

    private static func now() -> Double {
        let elapsed = ContinuousClock.now - start
        return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
    }

    private static let start = ContinuousClock.now

    private func save(_ state: [(name: String, tensor: Tensor)], after update: Int) throws {
        try SafetensorsWriter.write(
            state, metadata: ["update": String(update), "recipe": recipe.text()], to: checkpoint)
    }

    /// Takes up what a run before has left.
    /// - Returns: the updates that it did; 0 where there was none.
    private func restored(_ state: [(name: String, tensor: Tensor)], _ optimizer: AdamW) throws -> Int {
        guard fileExists(checkpoint) else { return 0 }
        let file = try SafetensorsFile(checkpoint)
        guard file.metadata["recipe"] == recipe.text(), let done = file.metadata["update"].flatMap(Int.init),
            (1...schedule.updates).contains(done)
        else {
            throw Failure.input(
                "the folder holds a training with other values", at: .init(checkpoint), expected: recipe.text(),
                got: file.metadata["recipe"], advice: "remove the file to begin again, or choose another folder")
        }
        for (name, tensor) in state {
            let saved = try file.required(name)
            guard saved.shape == tensor.shape, saved.dtype == tensor.dtype else {
                throw Failure.input(
                    "the checkpoint does not fit these networks", at: .init(checkpoint), expected: "\(name) \(tensor)",
                    got: "\(saved)", advice: "remove the file to begin again, or choose another folder")
            }
            try tensor.assign(saved)
        }
        optimizer.updates = done
        return done
    }
}
