import Failures
import Files
import Glibc
import JSON
import Optimization
import Torch
import Weights

/// The checkpoint of a run on disk: what is trained, its running mean where there is one, the optimizer's state, and
/// `info.json`.
///
/// The files belong together by the updates they were written at. Each is written beside its place; then the
/// present ones step back to `.bak` and the new ones forward, so that a run killed at any moment leaves one whole set.
struct RunFolder {
    let path: String
    /// `controlnet`, `lora` or `generator`.
    let name: String

    /// What was written at one update.
    struct Checkpoint {
        let weights: SafetensorsFile
        /// What is trained as a running mean; nil where the run took none.
        let average: SafetensorsFile?
        let optimizer: SafetensorsFile
        let info: JSON
        let updates: Int

        /// - Throws: a failure of the input where another optimizer wrote the state.
        func requireOptimizer(_ name: String) throws {
            // Checkpoints had no such word while there was one optimizer.
            let writer = optimizer.metadata[RunFolder.optimizerKey] ?? AdamW.name
            guard writer != name else { return }
            throw Failure.input(
                "the run was begun with another optimizer", at: Failure.Place(optimizer.path),
                expected: "the state of \(name), which the configuration names", got: "that of \(writer)",
                advice: "put back `optimizer: \(writer)`, or choose another experiment_id")
        }
    }

    private static let stepsKey = "trained_steps"
    private static let optimizerKey = "optimizer"
    private static let averageKey = "ema"

    init(checkpointPath: String, experimentID: String, name: String) throws {
        path = "\(checkpointPath)/\(experimentID)"
        self.name = name
        try Folder.make(path)
    }

    /// The file of what is trained.
    var weightsPath: String { "\(path)/\(name).safetensors" }
    private var averagePath: String { "\(path)/\(name)_ema.safetensors" }
    private var optimizerPath: String { "\(path)/\(name)_optim.safetensors" }
    private var infoPath: String { "\(path)/info.json" }

    /// Writes a checkpoint.
    /// - Parameters:
    ///   - average: takes the place of what is trained while it is written.
    ///   - writeWeights: writes what is trained to a path, with `trained_steps` in its metadata.
    func save(
        updates: Int, optimizer: any Optimizer, average: AveragedWeights?, info: JSON.Object,
        writeWeights: (String) throws -> Void
    ) throws {
        try writeWeights(weightsPath + ".new")
        try average?.withAverage { try writeWeights(averagePath + ".new") }
        try SafetensorsWriter.write(
            optimizer.state, metadata: [Self.stepsKey: String(updates), Self.optimizerKey: optimizer.name],
            to: optimizerPath + ".new")
        var info = info
        info["updates"] = .integer(Int64(updates))
        if average != nil { info[Self.averageKey] = .bool(true) }
        try writeAtomically(JSON.object(info).text() + "\n", to: infoPath + ".new")
        for path in [weightsPath] + (average == nil ? [] : [averagePath]) + [optimizerPath, infoPath] {
            if fileExists(path) { try move(path, path + ".bak") }
            try move(path + ".new", path)
        }
    }

    /// Writes a numbered copy of what is trained, and of its running mean.
    func backUp(updates: Int, average: AveragedWeights?, writeWeights: (String) throws -> Void) throws {
        let label = updates % 1000 == 0 ? "\(updates / 1000)k" : "\(updates)"
        try writeWeights("\(path)/\(name)_\(label).safetensors")
        try average?.withAverage { try writeWeights("\(path)/\(name)_ema_\(label).safetensors") }
    }

    /// The last whole checkpoint; nil where the run has not begun.
    /// - Parameter warn: told of what is passed over.
    /// - Throws: a failure of the input where there are files and none of them make a whole checkpoint.
    func last(warn: (String) -> Void) throws -> Checkpoint? {
        let endings = ["", ".new", ".bak"]
        guard endings.contains(where: { fileExists(infoPath + $0) || fileExists(weightsPath + $0) }) else { return nil }
        var problems: [String] = []
        func readable<Value>(_ path: String, _ read: (String) throws -> (Value, Int?)) -> [(Value, Int)] {
            endings.compactMap { ending in
                let file = path + ending
                guard fileExists(file) else { return nil }
                do {
                    let (value, steps) = try read(file)
                    if let steps { return (value, steps) }
                    problems.append("\(file): it does not say at which update it was written")
                } catch {
                    problems.append("\(error)")
                }
                return nil
            }
        }
        func tensors(_ path: String) throws -> (SafetensorsFile, Int?) {
            let file = try SafetensorsFile(path)
            return (file, file.metadata[Self.stepsKey].flatMap(Int.init))
        }
        let weights = readable(weightsPath, tensors)
        let averages = readable(averagePath, tensors)
        let optimizers = readable(optimizerPath, tensors)
        let infos = readable(infoPath) { path in
            let info = try JSON.read(path, maximumBytes: 64 << 20)
            return (info, info["updates"]?.intValue)
        }
        for problem in problems { warn("passed over: \(problem)") }
        let whole = weights.sorted { $0.1 > $1.1 }.lazy.compactMap { weights, updates -> Checkpoint? in
            guard let optimizer = optimizers.first(where: { $0.1 == updates })?.0,
                let info = infos.first(where: { $0.1 == updates })?.0
            else { return nil }
            let average = averages.first { $0.1 == updates }?.0
            let hasAverage = info[Self.averageKey]?.boolValue ?? false
            guard average != nil || !hasAverage else { return nil }
            return Checkpoint(
                weights: weights, average: hasAverage ? average : nil, optimizer: optimizer, info: info,
                updates: updates)
        }.first
        guard let whole else {
            throw Failure.input(
                "the checkpoint of this run is damaged", at: Failure.Place(path),
                expected: "\(name).safetensors, \(name)_optim.safetensors and info.json of one update, and "
                    + "\(name)_ema.safetensors where weights are averaged",
                got: problems.first ?? "files of different updates",
                advice: "delete the folder to start anew, or choose another experiment_id")
        }
        return whole
    }

    private func move(_ from: String, _ to: String) throws {
        guard rename(from, to) == 0 else { throw SystemError.current.failure("can't move the file", path: from) }
    }
}
