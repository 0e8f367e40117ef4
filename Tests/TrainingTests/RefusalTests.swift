import Failures
import Foundation
import Settings
import TestSupport
import Testing
import Torch
import Training
import Weights

extension TrainingRuns {
    /// Bad inputs: each is refused before anything is trained, with what a person needs to mend it.
    @Suite struct Refusals {
        /// The line on which a key stands in the tiny configuration.
        private func line(of key: String, _ recipe: Recipe, _ changes: [String: String]) throws -> Int? {
            let text = try TinyWorld.shared().configuration(in: Scratch(), recipe.keys().merging(changes) { $1 })
            let lines = text.split(separator: "\n").map(String.init)
            return lines.firstIndex { $0.hasPrefix("\(key):") }.map { $0 + 1 }
        }

        /// A change to the configuration, and the place and a word of the failure it leads to.
        struct Change: CustomTestStringConvertible {
            let recipe: Recipe
            let key: String
            let value: String
            let says: String
            /// Of the value; 1 for the key itself.
            let isKey: Bool

            init(_ recipe: Recipe, _ key: String, _ value: String, says: String, isKey: Bool = false) {
                (self.recipe, self.key, self.value, self.says, self.isKey) = (recipe, key, value, says, isKey)
            }

            var testDescription: String { "\(recipe) \(key): \(value)" }
        }

        @Test(arguments: [
            Change(.lora, "ranks", "4", says: "\"rank\"", isKey: true),
            Change(.controlnet, "controlnet_block", "[0]", says: "\"controlnet_blocks\"", isKey: true),
            Change(.finetune, "learning_rat", "1", says: "nearest", isKey: true),
            Change(.lora, "wandb_project", "'what?'", says: "that W&B takes"),
            Change(.lora, "wandb_entity", "us/them", says: "that W&B takes"),
            Change(.finetune, "rank", "4", says: "\"rank\"", isKey: true),
            Change(.finetune, "lr", "fast", says: "fast"),
            Change(.finetune, "lr", "0", says: "above 0"),
            Change(.finetune, "lr", ".nan", says: "number"),
            Change(.finetune, "batch_size", "2.5", says: "2.5"),
            Change(.finetune, "batch_size", "0", says: "1"),
            Change(.finetune, "batch_size", "99999999999999999999", says: "whole number"),
            Change(.finetune, "image_size", "16", says: "32"),
            Change(.finetune, "updates", "[3]", says: "whole number"),
            Change(.finetune, "experiment_id", "a/b", says: "folder"),
            Change(.finetune, "experiment_id", ".", says: "folder"),
            Change(.finetune, "grad_accum_steps", "9223372036854775807", says: "multiple"),
            Change(.finetune, "multi_aspect_ratio", "[1/0]", says: "1/0"),
            Change(.finetune, "multi_aspect_ratio", "[1/1000]", says: "too extreme"),
            Change(.finetune, "multi_aspect_ratio", "[]", says: "at least one"),
            Change(.lora, "lora_checkpoint_path", "/nowhere/lora.safetensors", says: "the adapters"),
            Change(.controlnet, "controlnet_checkpoint_path", "/nowhere/c.safetensors", says: "the ControlNet"),
            Change(.controlnet, "controlnet_backbone_path", "/nowhere/b.safetensors", says: "the features"),
            Change(.finetune, "captions_getter", "[txt, 'lambda c: c']", says: "[txt, identity]"),
            Change(.finetune, "dataset_filters", "[[width, 'lambda w: w.real']]", says: "at character 13"),
            Change(.finetune, "dataset_filters", "[[[width, height], 'lambda w: w > 1']]", says: "2 parameters"),
            Change(.finetune, "dataset_filters", "[a]", says: "filter"),
            Change(.finetune, "model_version", "2B", says: "tiny"),
            Change(.lora, "model_version", "700M", says: "Stage B"),
            Change(.finetune, "dtype", "float8", says: "bfloat16"),
            Change(.finetune, "effnet_checkpoint_path", "/nowhere/effnet.safetensors", says: "/nowhere/effnet"),
            Change(.finetune, "target", "vv", says: "\"v\""),
            Change(.lora, "schedule", "{name: cosine, s: .inf}", says: "finite"),
            Change(.controlnet, "offset_noise", "-1", says: "at least 0"),
            Change(.lora, "generator_checkpoint_path", "/nowhere/base.safetensors", says: "/nowhere/base"),
            Change(.lora, "clip_text_model_name", "/nowhere/text", says: "config.json"),
            Change(.lora, "module_filters", "[.attm]", says: "down_blocks.0."),
            Change(.lora, "train_tokens", "[['[rex]', '^cat</w>']]", says: "^cat</w>"),
            Change(.lora, "train_tokens", "[['[rex]', '*']]", says: "*"),
            Change(.controlnet, "controlnet_blocks", "[0, 6]", says: "0 to 5"),
            Change(.controlnet, "controlnet_blocks", "[-1]", says: "0 to 5"),
            Change(.controlnet, "controlnet_blocks", "[2, 2]", says: "twice"),
            Change(.controlnet, "controlnet_filter", "CanyFilter", says: "CannyFilter"),
            Change(.controlnet, "controlnet_filter_params", "{size: 3}", says: "nearest"),
            Change(.controlnet, "controlnet_bottleneck_mode", "small", says: "simple"),
        ])
        func `a configuration's fault is told with its place`(change: Change) throws {
            let run = try Run(change.recipe)
            let failure = try run.failure([change.key: change.value])
            #expect(failure.blame == .input, "\(failure)")
            #expect("\(failure) \(failure.advice ?? "")".contains(change.says), "\(failure)")
            #expect(failure.place?.file == "run.yaml", "\(failure)")
            let expected = try line(
                of: change.key == "grad_accum_steps" ? "batch_size" : change.key, change.recipe,
                [change.key: change.value])
            #expect(failure.place?.line == expected, "\(failure)")
            #expect((failure.place?.column ?? 0) > 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: run.scratch.path).isEmpty)
        }

        @Test(arguments: [
            (Recipe.lora, "lr"), (.lora, "webdataset_path"), (.lora, "generator_checkpoint_path"),
            (.controlnet, "controlnet_filter"), (.controlnet, "controlnet_blocks"), (.finetune, "updates"),
            (.stageB, "stage_a_checkpoint_path"), (.stageB, "effnet_checkpoint_path"),
        ])
        func `a key that must be there is named`(recipe: Recipe, key: String) throws {
            let failure = try Run(recipe).failure([key: ""])
            #expect(failure.blame == .input && failure.what.contains(key), "\(failure)")
            #expect(failure.place?.file == "run.yaml")
        }

        @Test func `two loss weights are refused`() throws {
            let failure = try Run(.finetune).failure(["adaptive_loss_weight": "true", "loss_weight": "p2"])
            #expect(failure.blame == .input && failure.what.contains("loss_weight"), "\(failure)")
        }

        @Test func `a configuration that asks for no adapter is refused`() throws {
            let failure = try Run(.lora).failure(["module_filters": "", "rank": "", "train_tokens": ""])
            #expect(failure.blame == .input && failure.expected?.contains("train_tokens") == true)
        }

        @Test(arguments: Recipe.allCases)
        func `the weights of another network are refused with what they are`(recipe: Recipe) throws {
            let failure = try Run(recipe).failure(["generator_checkpoint_path": TinyWorld.shared().effnet])
            #expect(failure.blame == .input)
            #expect(try failure.place?.file == TinyWorld.shared().effnet)
            #expect(
                failure.what.contains(recipe == .stageB ? "no Stage B" : "no Stage C")
                    && failure.got?.contains("EffNet encoder") == true, "\(failure)")
        }

        @Test func `weights of another size are refused`() throws {
            let world = try TinyWorld.shared()
            let failure = try Run(.lora).failure(["model_version": "tiny", "clip_text_model_name": world.text])
            #expect(failure.blame == .input && failure.place?.file == world.base)
            #expect(failure.what.contains("of another shape ("))
        }

        @Test(arguments: ["effnet_checkpoint_path", "previewer_checkpoint_path", "generator_checkpoint_path"])
        func `a file that holds no tensors is refused`(key: String) throws {
            let scratch = try Scratch()
            let path = try scratch.write("not a tensor file", to: "weights.safetensors")
            let failure = try Run(.lora).failure([key: path])
            #expect(failure.blame == .input && failure.place?.file == path, "\(failure)")
        }

        @Test func `folders that cannot be made are named`() throws {
            let scratch = try Scratch()
            let file = try scratch.write("a file", to: "file")
            for key in ["checkpoint_path", "output_path"] {
                let failure = try Run(.lora).failure([key: "\(file)/below"])
                #expect("\(failure)".contains("\(file)/below"), "\(failure)")
            }
        }

        @Test func `a rate that blows up ends the run and keeps the checkpoint`() throws {
            let run = try Run(.finetune)
            try run(["updates": "1"])
            let before = try run.bytes(run.weights)
            let failure = try run.failure(["updates": "40", "lr": "1e30", "warmup_updates": "0"])
            #expect(failure.blame == .run && failure.what == "10 updates in a row had no finite loss", "\(failure)")
            #expect(failure.advice?.contains("lr") == true)
            #expect(try run.bytes(run.weights) == before)
        }
    }
}
