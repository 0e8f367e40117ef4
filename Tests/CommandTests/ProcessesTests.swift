import Foundation
import JSON
import TestSupport
import Testing
import Torch
import Weights

/// Runs of several processes, which have to come to what one process comes to.
@Suite struct ProcessesTests {
    /// What makes an update depend on all its samples, and on chance.
    private static let keys = [
        "batch_size": "6", "updates": "8", "save_every": "4", "dropout": "0.2", "loss_weight": "adaptive",
        "ema_start_iters": "2", "ema_iters": "1",
    ]

    private func configuration(
        _ scratch: Scratch, _ name: String, of recipe: [String: String] = TinyWorld.lora,
        _ changes: [String: String] = [:]
    ) throws -> String {
        let keys = recipe.merging(Self.keys) { $1 }.merging(["experiment_id": name]) { $1 }
        return try scratch.write(
            TinyWorld.shared().configuration(in: scratch, keys.merging(changes) { $1 }), to: "\(name).yaml")
    }

    private func losses(_ scratch: Scratch, _ name: String) throws -> [Double] {
        let path = scratch["output/\(name)/metrics.jsonl"]
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").compactMap {
            try JSON.parse(String($0), file: path)["raw_loss"]?.doubleValue
        }
    }

    private func weights(_ scratch: Scratch, _ name: String, _ file: String = "lora") throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: scratch["checkpoints/\(name)/\(file).safetensors"]))
    }

    @discardableResult
    private func train(
        _ path: String, by recipe: String = "lora", processes: Int, _ more: String...
    ) throws -> Command.Outcome {
        let outcome = try Command.run([recipe, path, "--processes", "\(processes)"] + more)
        #expect(outcome.exited && outcome.status == 0, "\(outcome)")
        return outcome
    }

    @Test func `losses do not depend on how many processes there are, and the same number gives the same bytes`() throws
    {
        let scratch = try Scratch()
        try train(configuration(scratch, "one"), processes: 1)
        let two = try train(configuration(scratch, "two"), processes: 2)
        #expect(two.output == scratch["checkpoints/two/lora.safetensors"] + "\n")
        #expect(two.errorLines.allSatisfy { $0.hasPrefix("[0] ") }, "\(two)")
        let again = try Scratch()
        try train(configuration(again, "two"), processes: 2)
        // Six samples for four processes: two have one, two have two.
        try train(configuration(scratch, "four"), processes: 4)
        let one = try losses(scratch, "one")
        #expect(one.count == 8)
        for name in ["two", "four"] {
            for (ours, theirs) in zip(try losses(scratch, name), one) {
                #expect(abs(ours - theirs) < 1e-5 * theirs, "\(name)")
            }
            #expect(try losses(scratch, name).count == 8)
        }
        #expect(try losses(scratch, "two") == losses(again, "two"))
        #expect(try weights(scratch, "two") == weights(again, "two"))
        let report = try String(contentsOfFile: scratch["output/four/report.html"], encoding: .utf8)
        for rank in 0..<4 { #expect(report.contains("process \(rank)"), "\(report)") }
    }

    @Test func `losses of data with broken images do not depend on how many processes there are`() throws {
        let scratch = try Scratch()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: TinyWorld.shared().data))
        var (start, number) = (bytes.startIndex, 0)
        while let image = bytes.range(of: Data([0x89, 0x50, 0x4E, 0x47]), in: start..<bytes.endIndex) {
            // The header stays whole: only who decodes the image finds out.
            let pixels = image.lowerBound + 45..<image.lowerBound + 60
            if number % 4 == 1 { bytes.replaceSubrange(pixels, with: Data(count: pixels.count)) }
            (start, number) = (image.upperBound, number + 1)
        }
        try bytes.write(to: URL(fileURLWithPath: scratch["broken.tar"]))
        let data = ["webdataset_path": scratch["broken.tar"], "cache_in_memory": "false"]
        for (name, count) in [("one", 1), ("two", 2), ("four", 4)] {
            let said = try train(configuration(scratch, name, data), processes: count).errors
            #expect(said.contains("image can't be decoded"), "\(said)")
        }
        let path = try configuration(scratch, "parts", data)
        try train(path, processes: 3, "--steps", "4")
        try train(path, processes: 2)
        let one = try losses(scratch, "one")
        #expect(one.count == 8)
        for name in ["two", "four", "parts"] {
            for (ours, theirs) in zip(try losses(scratch, name), one) {
                #expect(abs(ours - theirs) < 1e-5 * theirs, "\(name)")
            }
            #expect(try losses(scratch, name).count == 8)
        }
    }

    @Test(arguments: [[:], ["fused_backward": "true", "gradient_checkpointing": "true"]])
    func `losses of Stage B do not depend on how many processes there are`(more: [String: String]) throws {
        let (scratch, stageB) = (try Scratch(), try TinyStageB.shared().keys.merging(more) { $1 })
        let runs = more.isEmpty ? [(1, "one"), (2, "two"), (4, "four")] : [(1, "one"), (2, "two")]
        for (count, name) in runs {
            try train(configuration(scratch, name, of: stageB), by: "finetune", processes: count)
        }
        let one = try losses(scratch, "one")
        #expect(one.count == 8)
        for (_, name) in runs.dropFirst() {
            for (ours, theirs) in zip(try losses(scratch, name), one) {
                #expect(abs(ours - theirs) < 1e-5 * theirs, "\(name)")
            }
            #expect(try losses(scratch, name).count == 8)
        }
    }

    /// A stage of several messages, which are sent while the backward pass goes on.
    @Test func `losses of a wide stage do not depend on how many processes there are`() throws {
        let scratch = try Scratch()
        let keys = try WideWorld(in: scratch, width: 256).keys.merging([
            "lr": "1e-4", "gradient_checkpointing": "true", "grad_accum_steps": "2",
        ]) { $1 }
        for (count, name) in [(1, "one"), (2, "two"), (2, "again"), (3, "three")] {
            try train(configuration(scratch, name, of: keys, ["updates": "4"]), by: "finetune", processes: count)
        }
        let one = try losses(scratch, "one")
        #expect(one.count == 4)
        for name in ["two", "three"] {
            for (ours, theirs) in zip(try losses(scratch, name), one) {
                #expect(abs(ours - theirs) < 1e-5 * theirs, "\(name)")
            }
            #expect(try losses(scratch, name).count == 4)
        }
        #expect(try weights(scratch, "two", "generator") == weights(scratch, "again", "generator"))
    }

    @Test func `gradients that are summed within the backward pass are those that are summed otherwise`() throws {
        let scratch = try Scratch()
        // Not clipped, so that two processes add up the very same two numbers either way.
        let keys = try WideWorld(in: scratch, width: 256).keys.merging([
            "updates": "4", "weights_dtype": "bfloat16", "gradient_checkpointing": "true", "gradient_clip": "1e9",
        ]) { $1 }
        try train(configuration(scratch, "within", of: keys, ["updates": "4"]), by: "finetune", processes: 2)
        let shared = ["updates": "4", "use_fsdp": "true"]
        try train(configuration(scratch, "shared", of: keys, shared), by: "finetune", processes: 2)
        #expect(try losses(scratch, "within") == losses(scratch, "shared"))
        try expectSameTensors(scratch, "within", "shared")
    }

    /// Files of two runs of `finetune` that hold the same numbers.
    private func expectSameTensors(_ scratch: Scratch, _ one: String, _ other: String) throws {
        for file in ["generator", "generator_ema", "generator_optim"] {
            func open(_ run: String) throws -> SafetensorsFile {
                try SafetensorsFile(scratch["checkpoints/\(run)/\(file).safetensors"])
            }
            let (ours, theirs) = (try open(one), try open(other))
            for entry in theirs.entries {
                let (our, their) = (try ours.required(entry.name), try theirs.required(entry.name))
                #expect(
                    try our.to(dtype: .float64).values(as: Double.self) == their.to(dtype: .float64).values(),
                    "\(file) \(entry.name)")
            }
        }
    }

    @Test func `processes of one machine share the memory that is free, and settle alike`() throws {
        let scratch = try Scratch()
        func free(_ count: Int) throws -> Double {
            let path = try configuration(scratch, "\(count)", ["grad_accum_steps": "auto", "base_dtype": "auto"])
            let said = try train(path, processes: count, "--steps", "1").errors
            let words = try #require(said.range(of: "[0-9]+ MB are free", options: .regularExpression), "\(said)")
            return try #require(Double(said[words].prefix { $0.isNumber }))
        }
        let (one, four) = (try free(1), try free(4))
        // Other programs take and free memory meanwhile.
        #expect(four < one / 2.5 && four > one / 6, "\(four) of \(one) MB")
    }

    @Test(arguments: ["lora", "controlnet"])
    func `processes that share the base come to what each with all of it comes to`(recipe: String) throws {
        let scratch = try Scratch()
        let keys = recipe == "lora" ? TinyWorld.lora : TinyWorld.controlNet
        // Previews and validation losses are passes that one process alone has use for.
        let seen = try TinyWorld.shared().heldOut.merging(["gradient_checkpointing": "true"]) { $1 }
        let parts = ["grad_accum_steps": "2"]
        func train(_ name: String, _ count: Int, _ changes: [String: String]) throws -> String {
            let path = try configuration(scratch, name, of: keys, seen.merging(changes) { $1 })
            return try self.train(path, by: recipe, processes: count).errors
        }
        #expect(try train("one", 1, ["use_fsdp": "true"]).contains("use_fsdp: this run is one process"))
        // Of six samples in two parts, four processes take 1, 2, 1 and 2: two of them have a part less.
        for (count, changes) in recipe == "lora" ? [(2, [:]), (4, parts)] : [(4, parts)] {
            _ = try train("whole \(count)", count, changes)
            let said = try train("shared \(count)", count, changes.merging(["use_fsdp": "true"]) { $1 })
            #expect(said.contains("use_fsdp: each of \(count) processes holds its share of the base"), "\(said)")
            #expect(try losses(scratch, "shared \(count)") == losses(scratch, "whole \(count)"))
            #expect(try held(scratch, "shared \(count)") == held(scratch, "whole \(count)"))
            #expect(try losses(scratch, "shared \(count)").count == 8)
            #expect(
                try weights(scratch, "shared \(count)", recipe) == weights(scratch, "whole \(count)", recipe),
                "\(count)")
        }
    }

    @Test(arguments: ["C", "B"])
    func `processes that share a stage and train it come to what one comes to`(stage: String) throws {
        let scratch = try Scratch()
        let base = stage == "C" ? try TinyWorld.shared().base : try TinyStageB.shared().base
        let keys = stage == "C" ? ["generator_checkpoint_path": base] : try TinyStageB.shared().keys
        let seen = try TinyWorld.shared().heldOut
        func train(_ name: String, _ count: Int, _ changes: [String: String] = [:], _ more: String...) throws -> String
        {
            let path = try configuration(scratch, name, of: keys, seen.merging(changes) { $1 })
            let outcome = try Command.run(["finetune", path, "--processes", "\(count)"] + more)
            #expect(outcome.exited && outcome.status == 0, "\(outcome)")
            return outcome.errors
        }
        let shared = ["use_fsdp": "true"]
        _ = try train("one", 1)
        let said = try train("two", 2, shared)
        #expect(said.contains("each of 2 processes holds, steps and averages its share of the stage"), "\(said)")
        _ = try train("four", 4, shared.merging(["grad_accum_steps": "2"]) { $1 })
        var names = ["two", "four"]
        if stage == "C" {
            // Begun by three, gone on with by one that has all of it.
            _ = try train("parts", 3, shared, "--steps", "4")
            #expect(try train("parts", 1).contains("resumed at update 4"))
            names.append("parts")
        }
        for name in names {
            for (ours, theirs) in zip(try losses(scratch, name), try losses(scratch, "one")) {
                #expect(abs(ours - theirs) < 1e-5 * theirs, "\(name)")
            }
            #expect(try losses(scratch, name).count == 8)
        }
        // Two that each have all of it come to the same files, but for the rounding of the gradients' norm.
        _ = try train("whole", 2, ["gradient_checkpointing": "true"])
        for file in ["generator", "generator_ema", "generator_optim"] {
            func open(_ run: String) throws -> SafetensorsFile {
                try SafetensorsFile(scratch["checkpoints/\(run)/\(file).safetensors"])
            }
            let (ours, theirs) = (try open("two"), try open("whole"))
            #expect(ours.entries.map(\.name).sorted() == theirs.entries.map(\.name).sorted(), "\(file)")
            let (apart, way) = try distances(
                ours, theirs, from: file == "generator_optim" ? nil : SafetensorsFile(base))
            #expect(way > 0 && apart < 1e-4 * way, "\(file): \(apart) of \(way)")
        }
    }

    /// Optimizers that step blocks of 256 numbers, by sums over rows and columns, and by sums over all; weights that are rounded
    /// by chance.
    @Test(arguments: [
        ["optimizer": "{name: adamw_8bit, min_8bit_size: 600}"],
        ["optimizer": "{name: adafactor, beta1: 0.9, scale_parameter: true}"],
        ["optimizer": "{name: prodigy, d0: 0.001}", "lr": "1"], ["weights_dtype": "bfloat16"],
    ])
    func `processes that share a stage step it as each with all of it does`(changes: [String: String]) throws {
        let scratch = try Scratch()
        let base = try TinyWorld.shared().base
        let keys = changes.merging(["generator_checkpoint_path": base, "gradient_checkpointing": "true"]) { $1 }
        func train(_ name: String, _ count: Int, _ more: [String: String] = [:], _ words: String...) throws -> String {
            let path = try configuration(scratch, name, of: keys, more)
            let outcome = try Command.run(["finetune", path, "--processes", "\(count)"] + words)
            #expect(outcome.exited && outcome.status == 0, "\(outcome)")
            return outcome.errors
        }
        // Not clipped, so that two processes add up the very same two numbers either way.
        let shared = ["use_fsdp": "true", "gradient_clip": "1e9"]
        _ = try train("whole", 2, ["gradient_clip": "1e9"])
        let said = try train("shared", 2, shared)
        #expect(said.contains("each of 2 processes holds, steps and averages its share of the stage"), "\(said)")
        _ = try train("parts", 3, shared, "--steps", "4")
        #expect(try train("parts", 2, ["gradient_clip": "1e9"]).contains("resumed at update 4"))
        #expect(try losses(scratch, "whole").count == 8)
        // Eight bits, and bfloat16, are reached from either side of the middle between two numbers.
        let isExact = changes["optimizer"]?.contains("8bit") ?? true
        for name in isExact ? ["shared"] : ["shared", "parts"] {
            for (ours, theirs) in zip(try losses(scratch, name), try losses(scratch, "whole")) {
                #expect(abs(ours - theirs) < 1e-5 * theirs, "\(name)")
            }
            #expect(try losses(scratch, name).count == 8)
        }
        for file in ["generator", "generator_ema", "generator_optim"] {
            func open(_ run: String) throws -> SafetensorsFile {
                try SafetensorsFile(scratch["checkpoints/\(run)/\(file).safetensors"])
            }
            let (ours, theirs) = (try open("shared"), try open("whole"))
            func described(_ file: SafetensorsFile) -> [String] {
                file.entries.map { "\($0.name) \($0.dtype) \($0.shape)" }.sorted()
            }
            #expect(described(ours) == described(theirs), "\(file)")
        }
        if isExact { try expectSameTensors(scratch, "shared", "whole") }
    }

    /// How far two files are from each other, and the second from a third one; from nothing where there is none.
    private func distances(
        _ ours: SafetensorsFile, _ theirs: SafetensorsFile, from start: SafetensorsFile?
    ) throws -> (apart: Double, way: Double) {
        var (apart, way) = (0.0, 0.0)
        for entry in theirs.entries {
            let their = try theirs.required(entry.name)
            let difference = try ours.required(entry.name) - their
            apart += try (difference * difference).sum().item()
            let gone = try start.map { try their - $0.required(entry.name) } ?? their
            way += try (gone * gone).sum().item()
        }
        return (apart.squareRoot(), way.squareRoot())
    }

    /// The validation losses of a run.
    private func held(_ scratch: Scratch, _ name: String) throws -> [Double] {
        let path = scratch["output/\(name)/metrics.jsonl"]
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").compactMap {
            try JSON.parse(String($0), file: path)["validation_loss"]?.doubleValue
        }
    }

    @Test func `when what started them is killed, the processes end`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, "orphans", ["updates": "100000", "save_every": "2"])
        var started: [Int32] = []
        let outcome = try Command.run(["lora", path, "--processes", "2"]) { process in
            let info = scratch["checkpoints/orphans/info.json"]
            for _ in 0..<6000 where !fileExists(info) && process.isRunning { usleep(10_000) }
            started = children(of: process.processIdentifier)
            kill(process.processIdentifier, SIGKILL)
        }
        #expect(!outcome.exited && outcome.status == SIGKILL && Set(started).count == 2, "\(outcome)")
        // A process that has ended has no program, even where nobody has taken note of its end.
        func isRunning(_ process: Int32) -> Bool {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/exe")) != nil
        }
        for _ in 0..<1000 where started.contains(where: isRunning) { usleep(10_000) }
        #expect(!started.contains(where: isRunning))
    }

    @Test func `a run goes on with another number of processes`() throws {
        let scratch = try Scratch()
        try train(configuration(scratch, "whole"), processes: 1)
        let path = try configuration(scratch, "parts")
        try train(path, processes: 3, "--steps", "4")
        let rest = try train(path, processes: 2)
        #expect(rest.errors.contains("resumed at update 4"), "\(rest)")
        for (ours, theirs) in zip(try losses(scratch, "parts"), try losses(scratch, "whole")) {
            #expect(abs(ours - theirs) < 1e-5 * theirs)
        }
    }

    @Test func `when a process is killed the others end, and say so`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, "killed", ["updates": "100000", "save_every": "2"])
        let began = ContinuousClock.now
        let outcome = try Command.run(["lora", path, "--processes", "3"]) { process in
            let info = scratch["checkpoints/killed/info.json"]
            for _ in 0..<6000 where !fileExists(info) && process.isRunning { usleep(10_000) }
            guard let child = children(of: process.processIdentifier).last else { return }
            kill(child, SIGKILL)
        }
        #expect(outcome.exited && outcome.status == 137, "\(outcome)")
        #expect(outcome.errors.contains("ended by signal 9"), "\(outcome)")
        #expect(outcome.errors.contains("of 3 has lost the others"), "\(outcome)")
        // The one that was killed is the one that the launcher says.
        let killed = try #require(outcome.errorLines.first { $0.hasSuffix("ended by signal 9") })
        let rank = killed.dropFirst().prefix { $0.isNumber }
        let lost = outcome.errorLines.filter { $0.contains("has lost the others") }
        // Nor do they name one another, whoever of them notices first and ends.
        #expect(!lost.isEmpty && lost.allSatisfy { $0.hasSuffix("no sign of process \(rank)") }, "\(outcome)")
        #expect(ContinuousClock.now - began < .seconds(60))
        try train(path, processes: 2, "--steps", "2")
    }

    @Test func `a run goes on by itself with the processes that are left`() throws {
        let scratch = try Scratch()
        try train(configuration(scratch, "whole", ["updates": "60"]), processes: 1)
        let path = try configuration(scratch, "restarted", ["updates": "60"])
        let outcome = try Command.run(["lora", path, "--processes", "3", "--restarts", "1"]) { process in
            let info = scratch["checkpoints/restarted/info.json"]
            for _ in 0..<6000 where !fileExists(info) && process.isRunning { usleep(10_000) }
            if let child = children(of: process.processIdentifier).first { kill(child, SIGKILL) }
        }
        #expect(outcome.exited && outcome.status == 0, "\(outcome)")
        #expect(outcome.errors.contains("restart 1 of 1, with 2 of 3 processes"), "\(outcome)")
        #expect(outcome.errors.contains("resumed at update"), "\(outcome)")
        let (ours, theirs) = try (losses(scratch, "restarted"), losses(scratch, "whole"))
        #expect(ours.count == 60)
        for (one, other) in zip(ours.prefix(20), theirs) { #expect(abs(one - other) < 1e-5 * other) }
    }

    private func fileExists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func children(of process: Int32) -> [Int32] {
        let path = "/proc/\(process)/task/\(process)/children"
        // Children may belong to any thread of the process.
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
        return ([path] + threads.map { "/proc/\(process)/task/\($0)/children" }).flatMap { path in
            ((try? String(contentsOfFile: path, encoding: .utf8)) ?? "").split(separator: " ").compactMap { Int32($0) }
        }
    }

    @Test func `variables that are missing or out of range are named`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, "alone")
        func refused(_ variables: [String: String], _ said: String) throws {
            let outcome = try Command.run(["lora", path], environment: variables)
            #expect(outcome.status == 2 && outcome.errors.contains(said), "\(outcome)")
        }
        try refused(["RANK": "0"], "WORLD_SIZE is not set")
        try refused(["RANK": "0", "WORLD_SIZE": "2", "MASTER_PORT": "1"], "MASTER_ADDR is not set")
        try refused(["RANK": "2", "WORLD_SIZE": "2"], "RANK is out of range, expected 0 to 1, got 2")
        try refused(["SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"], "SLURM_JOB_ID is not set")
        try expectRefusal(["lora", path, "--processes", "0"], saying: "--processes is out of range")
        try expectRefusal(["lora", path, "--processes", "2", "--set", "rank=x"], saying: "rank")
        // The script of a Slurm job that calls no srun is one process.
        let script = ["SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"]
        let alone = try Command.run(["lora", path, "--steps", "1"], environment: script)
        #expect(alone.status == 0, "\(alone)")
    }

    @Test func `a process that does not come is named`() throws {
        let scratch = try Scratch()
        let path = try configuration(scratch, "waiting")
        let outcome = try Command.run(
            ["lora", path, "--process-timeout", "2"],
            environment: [
                "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "\(try freePort())",
            ])
        #expect(outcome.status == 1 && outcome.errors.contains("process 1 of 2 did not come"), "\(outcome)")
        #expect(outcome.errorLines.count == 1, "\(outcome)")
    }

    @Test func `processes with another configuration, or more of them than samples, are refused`() throws {
        let scratch = try Scratch()
        let paths = try [configuration(scratch, "a"), configuration(scratch, "b", ["lr": "5e-4"])]
        let port = "\(try freePort())"
        func environment(_ rank: Int) -> [String: String] {
            ["RANK": "\(rank)", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port]
        }
        var second: Command.Outcome?
        let first = try Command.run(["lora", paths[0]], environment: environment(0)) { _ in
            second = try? Command.run(["lora", paths[1]], environment: environment(1))
        }
        #expect(first.status == 2 && first.errorLines.count == 1, "\(first)")
        #expect(
            first.errors.contains("another configuration or seed") && first.errors.contains("process 1"), "\(first)")
        #expect(second?.status == 2 && second?.errors == "", "\(String(describing: second))")
        let few = try Command.run(["lora", paths[0], "--processes", "2", "--set", "batch_size=1"])
        #expect(few.status == 2 && few.errors.contains("fewer samples than there are processes"), "\(few)")
    }
}
