import Foundation
import Shards
import TestSupport
import Testing
import Torch
import Weights

@testable import Training

extension TrainingRuns {
    /// Runs with `cache_dir`.
    @Suite struct EncodingCaches {
        /// Three epochs of the dozen images.
        private func run(
            _ recipe: Recipe, _ changes: [String: String] = [:], cache: String
        ) throws -> (run: Run, outcome: RunOutcome) {
            let run = try Run(recipe)
            let outcome = try run(
                ["updates": "9", "cache_in_memory": "false", "cache_dir": cache].merging(changes) { $1 })
            return (run, try #require(outcome))
        }

        @Test(arguments: Recipe.allCases)
        func `a second run encodes nothing and learns the same, byte for byte`(recipe: Recipe) throws {
            let scratch = try Scratch()
            let first = try run(recipe, cache: scratch["cache"])
            // Each image once in all three epochs, each caption once, and the empty caption that stands for some.
            let made = try #require(first.outcome.encoded)
            #expect(made.images == 12)
            #expect(recipe == .lora ? made.captions == 0 : (12...13).contains(made.captions))
            let second = try run(recipe, cache: scratch["cache"])
            #expect(try #require(second.outcome.encoded) == (0, 0))
            #expect(try second.run.bytes(second.run.weights) == first.run.bytes(first.run.weights))
            #expect(try second.run.metrics() == first.run.metrics())
        }

        @Test func `what was found is what would be made`() throws {
            let scratch = try Scratch()
            _ = try run(.finetune, cache: scratch["cache"])
            let cached = try run(.finetune, cache: scratch["cache"]).run
            let fresh = try Run(.finetune)
            try fresh(["updates": "9", "cache_in_memory": "true"])
            // Images are encoded one by one in both; captions together here, so the last digits may differ.
            let pairs = try zip(cached.metrics(), fresh.metrics()).map {
                (try #require($0["raw_loss"]?.doubleValue), try #require($1["raw_loss"]?.doubleValue))
            }
            #expect(pairs.count == 9)
            for (found, made) in pairs { #expect(abs(found - made) < 1e-5 * made) }
        }

        @Test func `two samples of one name in one shard are kept apart in memory`() throws {
            let scratch = try Scratch()
            // One shard that has the keys 0 to 5 twice, of other images each time.
            var shard = Data()
            for seed in [0, 50] {
                let folder = try Scratch()
                for (number, sample) in TinyWorld.images(6, seed: seed).enumerated() {
                    try sample.image.write(to: folder["\(number).png"])
                    try folder.write(sample.caption, to: "\(number).txt")
                }
                _ = try packDataset(folder: folder.path, to: scratch["part.tar"]) { _, _ in }
                // The zeros that end a tar would hide what follows.
                while shard.suffix(512) == Data(count: 512) { shard.removeLast(512) }
                shard += try Data(contentsOf: URL(fileURLWithPath: scratch["part.tar"]))
            }
            try shard.write(to: URL(fileURLWithPath: scratch["data.tar"]))
            let losses = try ["true", "false"].map { isKept in
                let run = try Run(.lora)
                // An epoch, image by image, so that both runs encode alike.
                try run(
                    [
                        "updates": "12", "batch_size": "1", "cache_in_memory": isKept,
                        "webdataset_path": scratch["data.tar"],
                    ])
                return try run.metrics().map { try #require($0["raw_loss"]?.doubleValue) }
            }
            #expect(losses[0].count == 12 && losses[0] == losses[1])
        }

        @Test func `an entry of other weights or of another size is not used`() throws {
            let scratch = try Scratch()
            _ = try run(.lora, cache: scratch["cache"])
            let file = try SafetensorsFile(TinyWorld.shared().effnet)
            let other = scratch["other.safetensors"]
            try SafetensorsWriter.write(
                file.entries.map { entry in
                    let tensor = try file.required(entry.name)
                    return (entry.name, entry.name == "mapper.0.weight" ? try tensor * 1.01 : tensor)
                }, to: other)
            #expect(try run(.lora, ["effnet_checkpoint_path": other], cache: scratch["cache"]).outcome.encoded?.0 == 12)
            #expect(try run(.lora, ["image_size": "32"], cache: scratch["cache"]).outcome.encoded?.0 == 12)
            #expect(try run(.lora, cache: scratch["cache"]).outcome.encoded?.0 == 0)
        }

        @Test func `damaged entries are made again`() throws {
            let scratch = try Scratch()
            let first = try run(.lora, cache: scratch["cache"])
            let files = try #require(FileManager.default.enumerator(atPath: scratch["cache/pictures"])).compactMap {
                $0 as? String
            }.filter { $0.count > 40 }.map { scratch["cache/pictures/\($0)"] }
            #expect(files.count == 12)
            for (index, path) in files.enumerated() where index < 5 {
                var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
                if index < 2 { bytes.removeLast(9) } else { bytes[bytes.count - 5] ^= 1 }
                try bytes.write(to: URL(fileURLWithPath: path))
            }
            let again = try run(.lora, cache: scratch["cache"])
            #expect(again.outcome.encoded?.0 == 5)
            #expect(try again.run.bytes(again.run.weights) == first.run.bytes(first.run.weights))
        }

        @Test func `a folder that takes nothing more costs a warning and nothing else`() throws {
            let scratch = try Scratch()
            let cached = try run(.lora, cache: scratch["cache"])
            // A file where each folder of entries would be: the same to the process as a disk that refuses.
            let refusing = scratch["refusing"]
            for kind in ["pictures", "texts"] {
                try FileManager.default.createDirectory(
                    atPath: "\(refusing)/\(kind)", withIntermediateDirectories: true)
                for number in 0..<256 {
                    let name = String(number + 256, radix: 16).dropFirst()
                    try Data().write(to: URL(fileURLWithPath: "\(refusing)/\(kind)/\(name)"))
                }
            }
            let run = try run(.lora, cache: refusing)
            #expect(run.outcome.isComplete)
            #expect(run.run.lines.count { $0.contains("nothing more is cached") } == 1)
            #expect(try run.run.bytes(run.run.weights) == cached.run.bytes(cached.run.weights))
        }
    }
}
