import AdapterKit
import Failures
import Foundation
import Images
import Settings
import TestSupport
import Testing
import Torch
import Training

extension TrainingRuns {
    /// What a run shows and measures on its way.
    @Suite struct Previews {
        private func image(_ run: Run, _ update: Int) throws -> Image {
            try Image(decoding: [UInt8](run.bytes(run.scratch["output/run/00000\(update).jpg"])), name: "preview")
        }

        /// Whether two previews show the same in some rows of pixels, counted from the top.
        private func areSame(_ a: Image, _ b: Image, rows: Range<Int>) -> Bool {
            let range = rows.lowerBound * a.width * 3..<rows.upperBound * a.width * 3
            return a.width == b.width && a.pixels[range] == b.pixels[range]
        }

        @Test func `without validation data the first samples are shown, the same in a run that goes on`() throws {
            let (whole, parts) = (try Run(.lora), try Run(.lora))
            // A rate that shows.
            let changes = ["save_every": "1", "preview_steps": "2", "lr": "0.3"]
            try whole(changes.merging(["updates": "4"]) { $1 })
            for updates in ["2", "4"] { try parts(changes.merging(["updates": updates]) { $1 }) }
            for update in 1...4 {
                let name = "output/run/00000\(update).jpg"
                #expect(try whole.bytes(whole.scratch[name]) == parts.bytes(parts.scratch[name]))
            }
            // Original, latents, noised, predicted, sampled: four images of 64 pixels each.
            let (first, second) = (try image(whole, 1), try image(whole, 4))
            #expect(first.width >= 4 * 64 && first.height >= 5 * 64)
            // JPEG lets an image's edge show in its neighbour's.
            #expect(areSame(first, second, rows: 0..<first.height / 5 * 3 - 16))
            let changed = !areSame(first, second, rows: first.height / 5 * 3..<first.height)
            #expect(changed)
        }

        @Test func `an image that the filter refuses is not shown`() throws {
            let run = try Run(.controlnet)
            let changes = [
                "updates": "1", "preview_steps": "2", "controlnet_filter": "RefusingFilter",
                "controlnet_filter_params": "",
            ]
            #expect(try run(changes, filters: [RefusingFilter.self])?.isComplete == true)
            // The condition has a row too.
            let shown = try image(run, 1)
            #expect(shown.width >= 4 * 64 && shown.height >= 6 * 64)
        }

        @Test func `preview_prompts are sampled in place of the captions, and preview_steps 0 shows nothing`() throws {
            let (plain, prompted, none) = (try Run(.lora), try Run(.lora), try Run(.lora))
            try plain(["updates": "1", "preview_steps": "2"])
            try prompted(["updates": "1", "preview_steps": "2", "preview_prompts": "[a dog, '']"])
            let (a, b) = (try image(plain, 1), try image(prompted, 1))
            #expect(areSame(a, b, rows: 0..<a.height / 5 * 4 - 16))
            #expect(!areSame(a, b, rows: a.height / 5 * 4..<a.height))
            try none(["updates": "1", "preview_steps": "0"])
            #expect(!FileManager.default.fileExists(atPath: none.scratch["output/run/000001.jpg"]))
        }

        @Test func `a prompt may have settings of its own, and another row shows the same without the adapter`() throws
        {
            let (plain, own, compared) = (try Run(.lora), try Run(.lora), try Run(.lora))
            let changes = ["updates": "1", "preview_steps": "2"]
            try plain(changes.merging(["preview_prompts": "[a dog, cat]"]) { $1 })
            let prompts = "[a dog, {prompt: cat, negative: dog, size: [96, 64], seed: 3, cfg: 2, steps: 3}]"
            try own(changes.merging(["preview_prompts": prompts]) { $1 })
            let (a, b) = (try image(plain, 1), try image(own, 1))
            #expect(a.width == b.width && a.height == b.height)
            // Columns take the prompts in turn: what is the second's own changes the second and the fourth.
            func column(_ image: Image, _ number: Int) -> [UInt8] {
                let (x, y) = (number * 66 + 16, image.height - 48)
                return image.cropped(x: x, y: y, width: 32, height: 32).pixels
            }
            #expect(column(a, 0) == column(b, 0) && column(a, 1) != column(b, 1))
            // A rate that shows.
            try compared(changes.merging(["preview_compare": "true", "lr": "0.3"]) { $1 })
            let c = try image(compared, 1)
            #expect(c.height > a.height + 64)
        }

        @Test(arguments: ["[{negative: a}]", "[{prompt: a, size: [1, 2]}]", "[{prompt: a, x: 1}]", "[[a]]"])
        func `a prompt that cannot be meant is refused at its place`(prompts: String) throws {
            let run = try Run(.lora)
            let failure = try expectedFailure { _ = try run(["preview_steps": "2", "preview_prompts": prompts]) }
            #expect(failure.blame == .input && failure.place?.line != nil, "\(failure)")
        }

        @Test func `a running mean has a row of its own, which is the sampled one while it is a copy`() throws {
            let run = try Run(.lora)
            try run(["updates": "1", "preview_steps": "2", "ema_start_iters": "5", "ema_iters": "1"])
            let shown = try image(run, 1)
            // Original, latents, noised, predicted, sampled, sampled with the mean; lines between them.
            let row = shown.height / 6
            #expect(row >= 64)
            func middle(_ number: Int) -> ArraySlice<UInt8> {
                let start = (number * (row + 1) + 16) * shown.width * 3
                return shown.pixels[start..<start + 16 * shown.width * 3]
            }
            let difference = zip(middle(4), middle(5)).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }
            #expect(difference / middle(4).count < 8)
        }

        @Test func `Stage B shows what it is conditioned on, too`() throws {
            let run = try Run(.stageB)
            try run(["updates": "1", "preview_steps": "1"])
            let shown = try image(run, 1)
            // Image, condition, latents, noised, predicted, sampled: each below a label of 16 pixels.
            #expect(shown.width == 4 * 66 - 2 && shown.height == 6 * (16 + 64 + 2) - 2)
        }

        @Test func `the validation loss is measured as often as asked for`() throws {
            let world = try TinyWorld.shared()
            let (whole, parts) = (try Run(.lora), try Run(.lora))
            let changes = world.heldOut.merging(["validation_every": "2", "preview_steps": "0"]) { $1 }
            func train(_ run: Run, _ updates: String) throws {
                try run(changes.merging(["updates": updates]) { $1 })
            }
            try train(whole, "5")
            let measured = try whole.metrics().filter { $0["validation_loss"] != nil }
            #expect(measured.compactMap { $0["step"]?.intValue } == [2, 4, 5])
            #expect(Set(measured.compactMap { $0["validation_loss"]?.doubleValue }).count == 3)
            // Where a run stops it measures too, so stops are put where it would.
            for updates in ["2", "4", "5"] { try train(parts, updates) }
            #expect(try parts.metrics() == whole.metrics())
        }
    }
}

/// A filter that refuses the first of the tiny world's images.
struct RefusingFilter: ControlFilter {
    static let name = "RefusingFilter"
    static let parameters: [FilterParameter] = []

    init(parameters: inout Fields) throws {}

    var channels: Int { 3 }

    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        let first = TinyWorld.images(1, seed: 0)[0].image.planar().values
        guard try images.values(as: Float.self).prefix(first.count) != first[...] else {
            throw Failure.input("there is nobody in the image")
        }
        return ControlCondition(condition: images, preview: images)
    }
}
