import Foundation
import Generation
import Images
import JSON
import TestSupport
import Torch
import Weights

/// The networks of a golden of whole images, laid into files as a user has them.
final class GenerationWorld {
    let golden: Golden
    let scratch: Scratch

    init(_ name: String) throws {
        golden = try Golden("generation_\(name)")
        scratch = try Scratch()
        let world = try TinyWorld.shared()
        let shapes = try JSON.parse(golden.metadata["shapes"] ?? "{}", file: golden.path)
        let arch = try JSON.parse(golden.arch, file: golden.path)
        for name in ["stage_c", "stage_b"] { try scratch.write(arch[name]?.text() ?? "{}", to: "\(name).yaml") }
        for name in ["clip-text", "clip-image"] {
            try FileManager.default.createDirectory(atPath: scratch[name], withIntermediateDirectories: true)
        }
        for name in ["vocab.json", "merges.txt", "config.json"] {
            try FileManager.default.copyItem(atPath: "\(world.text)/\(name)", toPath: scratch["clip-text/\(name)"])
        }
        try scratch.write(arch["vision"]?.text() ?? "{}", to: "clip-image/config.json")
        let files = [
            "stage_c": "stage_c.safetensors", "stage_b": "stage_b.safetensors", "stage_a": "stage_a.safetensors",
            "text": "clip-text/model.safetensors", "vision": "clip-image/model.safetensors",
            "effnet": "effnet_encoder.safetensors",
        ]
        for (name, file) in files {
            guard let keys = shapes[name]?.objectValue else { continue }
            let isCalmed = name.hasPrefix("stage_")
            let tensors = try keys.map { key, shape in
                let shape = shape.arrayValue?.compactMap(\.intValue) ?? []
                let tensor = try Tensor(golden.drawn(key, shape: shape), shape: shape)
                return (key, isCalmed && Self.hearsTime(key) ? try tensor * Double(Float(0.02)) : tensor)
            }
            try SafetensorsWriter.write(tensors, to: scratch[file])
        }
    }

    /// Whether a parameter belongs to a timestep block, as `stage_c.calm` knows them.
    private static func hearsTime(_ key: String) -> Bool {
        key.contains("_blocks.") && (key.contains(".mapper.") || key.contains(".mapper_"))
    }

    var models: ModelFiles { get throws { try ModelFiles(folder: scratch.path) } }

    /// An input that is an image, [H, W, c], one channel standing for all three.
    func image(_ name: String) throws -> Image {
        let bytes = try input(name)
        let (height, width, channels) = (bytes.size(0), bytes.size(1), bytes.size(2))
        let values: [Float] = try bytes.values()
        let pixels = (0..<height * width * 3).map { UInt8(values[$0 / 3 * channels + $0 % 3 % channels]) }
        return Image(width: width, height: height, pixels: pixels)
    }

    func input(_ name: String) throws -> Tensor { try golden.required("in.\(name)") }

    func output(_ name: String) throws -> Tensor { try golden.required("out.\(name)") }

    /// The request of the goldens.
    func request(_ prompt: String, negative: String = "") throws -> ImageRequest {
        var request = ImageRequest(prompt: prompt)
        request.negative = negative
        request.size = ImageSize(width: 128, height: 96)
        request.sampler = .ddim
        request.noise = (try input("stage_c"), try input("stage_b"))
        return request
    }
}

extension Golden {
    fileprivate func required(_ name: String) throws -> Torch.Tensor {
        guard let tensor = tensors[name] else { throw GoldenLacks(name: name) }
        return try tensor.made()
    }
}

private struct GoldenLacks: Error { let name: String }
