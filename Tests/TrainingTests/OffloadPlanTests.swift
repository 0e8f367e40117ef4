import Testing
import Torch

@testable import Training

extension TrainingRuns {
    /// What a plan says of blocks that wait in host memory, on a device that need not be there.
    @Suite struct OffloadPlanTests {
        private func memory(_ recipe: Recipe, _ keys: [String: String]) throws -> MemoryEstimate {
            var options = RunOptions()
            options.device = .cuda(0)
            let settled = try #require(try Run(recipe).configured(keys) as? any SettledRecipe)
            return try settled.networks(options).memory
        }

        @Test(arguments: [Recipe.lora, .controlnet])
        func `two blocks stand in the place of those that wait, which are pinned`(recipe: Recipe) throws {
            let whole = try memory(recipe, ["gradient_checkpointing": "true"])
            let base = whole.bytes(named: PlannedModels.base)
            #expect(whole.pinned == 0 && base > 0)
            var last = base
            for count in [1, 3, 5] {
                let some = try memory(recipe, ["offload": "\(count)"])
                let waiting = base - some.bytes(named: PlannedModels.base)
                #expect(some.bytes(named: PlannedModels.base) < last && some.pinned >= waiting)
                // Pinned memory comes in powers of two.
                #expect(some.pinned < 2 * waiting + 64 * count)
                last = some.bytes(named: PlannedModels.base)
            }
            let all = try memory(recipe, ["offload": "auto"])
            let rows = all.bytes(named: "two blocks of the base")
            #expect(all.bytes(named: PlannedModels.base) == 0 && (1..<base).contains(rows))
            #expect(all.pinned >= base && all.bytes == whole.bytes - base + rows)
            #expect(try memory(recipe, ["offload": "100000"]).bytes == all.bytes)
        }
    }
}
