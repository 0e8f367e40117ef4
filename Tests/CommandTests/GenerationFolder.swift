import Foundation
import Images
import TestSupport

/// The tiny world's networks in a folder as `--models` takes it, and a place for what a test writes.
struct GenerationFolder {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        let (world, stageB) = (try TinyWorld.shared(), try TinyStageB.shared())
        try FileManager.default.createDirectory(atPath: scratch["models"], withIntermediateDirectories: true)
        for (name, target) in [
            "stage_c.yaml": world.folder["tiny.yaml"], "stage_c.safetensors": world.base,
            "stage_b.yaml": stageB.architecture, "stage_b.safetensors": stageB.base,
            "stage_a.safetensors": stageB.stageA, "effnet_encoder.safetensors": world.effnet,
            "previewer.safetensors": world.folder["previewer.safetensors"], "clip-text": world.text,
        ] {
            try FileManager.default.createSymbolicLink(atPath: scratch["models/\(name)"], withDestinationPath: target)
        }
    }

    subscript(name: String) -> String { scratch[name] }

    /// What every call says: small images in few steps.
    var common: [String] { ["--models", self["models"], "--size", "128x96", "--steps", "3,2", "--quiet"] }

    func generate(_ arguments: String...) -> [String] { ["generate"] + common + arguments }

    /// An image of two colours.
    @discardableResult
    func image(_ name: String, seed: Int = 3) throws -> String {
        try TinyWorld.images(1, seed: seed)[0].image.write(to: self[name])
        return self[name]
    }

    func read(_ name: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: self[name]))) }
}

/// The largest difference of two images' samples.
func largestDifference(_ a: Image, _ b: Image) -> Int {
    guard a.width == b.width, a.height == b.height else { return .max }
    return zip(a.pixels, b.pixels).reduce(0) { max($0, abs(Int($1.0) - Int($1.1))) }
}
