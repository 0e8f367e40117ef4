import Cascade
import Layers

/// The modules of Stage C in the order in which the official code numbers their LoRA.
///
/// Source: Stability-AI/StableCascade, modules/lora.py and train/train_c_lora.py: all modules with a weight whose name
/// contains a filter, in PyTorch's order of definition; an attention's fused projection comes behind its `out_proj`.
struct PositionalLayout {
    /// What one pair of matrices is for.
    struct Unit {
        /// The name that filters see.
        let name: String
        /// Our modules: one, or the thirds of a fused projection.
        let modules: [ModuleShape]
        /// 1 for depthwise kernels: one number is added to a whole kernel.
        let inputs: Int
        let outputs: Int
    }

    let units: [Unit]

    /// - Throws: a failure of the input where there can be no such network.
    init(_ configuration: StageCConfiguration, filters: [String]) throws {
        let sections = [
            "clip_txt_mapper", "clip_txt_pooled_mapper", "clip_img_mapper", "embedding", "down_blocks",
            "down_downscalers", "down_repeat_mappers", "up_blocks", "up_upscalers", "up_repeat_mappers", "clf",
        ]
        func section(_ module: ModuleShape) -> Int {
            sections.firstIndex(of: String(module.path.prefix { $0 != "." })) ?? sections.count
        }
        let modules = try configuration.modules().enumerated().sorted {
            (section($0.element), $0.offset) < (section($1.element), $1.offset)
        }.map(\.element)
        var units: [Unit] = []
        var thirds: [ModuleShape] = []
        for module in modules {
            if Attention.thirds.contains(where: { module.path.hasSuffix(".attn.\($0)") }) {
                thirds.append(module)
                continue
            }
            units.append(
                Unit(
                    name: module.path, modules: [module], inputs: module.kernelSide == nil ? module.inputs : 1,
                    outputs: module.outputs))
            if module.path.hasSuffix(".attn.out_proj") {
                units.append(
                    Unit(
                        name: String(module.path.dropLast(".out_proj".count)), modules: thirds, inputs: module.inputs,
                        outputs: 3 * module.outputs))
                thirds = []
            }
        }
        self.units = units.filter { unit in filters.contains { unit.name.contains($0) } }
    }
}
