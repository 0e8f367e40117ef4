import AdapterKit
import CannyFilter
import LearnedTokens
import LoRA
import Settings
import Testing
import Training

/// Which recipe a configuration is for.
@Suite struct RecipeTests {
    private let plugIns = PlugIns(filters: [CannyFilter.self], adapters: [LoRA.kind, LearnedTokens.kind])

    @Test(arguments: [
        ("{controlnet_blocks: [0]}", "controlnet"), ("{controlnet_filter: none}", "controlnet"),
        ("{controlnet_filter: none, rank: 2}", "controlnet"),
        ("{module_filters: [.attn], rank: 2}", "lora"), ("{rank: 2}", "lora"), ("{module_filters: 3}", "lora"),
        ("{text_module_filters: [mlp]}", "lora"), ("{train_tokens: []}", "lora"), ("{train_tokens: 3}", "lora"),
        ("{lora_checkpoint_path: nowhere}", "lora"),
        ("{}", "finetune"), ("{lora_lr: 1}", "finetune"), ("{model_version: 700M}", "finetune"),
    ])
    func `a configuration's recipe is told by its keys, whatever they say`(text: String, name: String) throws {
        let setting = try Setting.parse(text, file: "run.yaml")
        #expect(Recipes.recipe(for: setting, plugIns).name == name)
    }

    @Test func `each recipe has a name of its own`() {
        #expect(Set(Recipes.all.map { $0.name }).count == Recipes.all.count && Recipes.all.count == 3)
    }
}
