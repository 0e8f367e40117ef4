import CascadeAdapt
import Foundation
import Settings
import Testing
import Training

/// The files of `configs/training` document every key that a recipe reads, and no other.
@Suite struct DocumentedKeys {
    private static let folder =
        String(#filePath.dropLast("Tests/CommandTests/DocumentedKeysTests.swift".count)) + "configs/training/"

    /// A configuration as it is shipped.
    private struct Shipped {
        let name: String
        let setting: Setting
        /// The lines `# key: value`.
        let commented: [(key: String, value: String)]

        init(_ name: String) throws {
            self.name = name
            let text = try String(contentsOfFile: DocumentedKeys.folder + name, encoding: .utf8)
            setting = try Setting.parse(text, file: name)
            commented = text.split(separator: "\n").compactMap { line in
                let match = line.wholeMatch(of: /# ([a-z][a-z0-9_]*): (.+)/)
                return match.map { (String($0.1), String($0.2)) }
            }
        }

        var named: Set<String> { Set((setting.members ?? []).map(\.key) + commented.map(\.key)) }
    }

    private static var names: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    /// The keys that the recipe of a configuration asks for.
    private static func read(_ setting: Setting) throws -> Set<String> {
        var fields = try setting.fields()
        _ = try Recipes.recipe(for: setting, CascadeAdapt.plugIns).init(&fields, CascadeAdapt.plugIns)
        try fields.finish()
        // `training` is the reference's own affair.
        return Set(fields.known).subtracting(["training"])
    }

    @Test(arguments: [
        ["controlnet_c_tiny_canny.yaml"], ["lora_c_tiny.yaml"], ["finetune_c_tiny.yaml"],
        ["finetune_b_3b.yaml", "finetune_c_tiny.yaml"],
    ])
    func `every key of a recipe stands in its configuration`(files: [String]) throws {
        let shipped = try files.map(Shipped.init)
        let known = try Self.read(shipped[0].setting)
        #expect(known.count > 40)
        #expect(known.subtracting(shipped.reduce(into: []) { $0.formUnion($1.named) }).sorted() == [])
    }

    @Test(arguments: names)
    func `what a configuration has in comments may be uncommented`(file: String) throws {
        let shipped = try Shipped(file)
        #expect(shipped.commented.count > 5)
        // But for models that need not be here.
        let uncommented = try shipped.commented
            .filter { !$0.key.hasPrefix("controlnet_") && $0.key != "lora_checkpoint_path" }
            .reduce(shipped.setting) { try $0.overridden(by: "\($1.key)=\($1.value)") }
        #expect(throws: Never.self) { try Self.read(uncommented) }
        #expect(Set(shipped.commented.map(\.key)).subtracting(try Self.read(shipped.setting)).sorted() == [])
    }

    @Test(arguments: names)
    func `each names what a long run wants`(file: String) throws {
        let wanted: Set = [
            "gradient_checkpointing", "optimizer", "lr_schedule", "validation_path", "validation_every",
            "preview_prompts", "keep_last", "max_bad_steps", "cache_dir", "ema_start_iters", "ema_iters", "ema_beta",
            "wandb_project",
        ]
        #expect(try wanted.subtracting(Shipped(file).named).sorted() == [])
    }
}
