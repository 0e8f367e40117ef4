import Failures
import TestSupport
import Testing
import Torch
import Weights

/// Files of `torch.save`, against the tensors that went in (`Tests/Goldens/layouts.py`).
@Suite struct TorchFileTests {
    @Test(arguments: ["zip", "legacy"], [2, 3, 4, 5])
    func `every tensor comes out as it went in`(_ kind: String, _ pickleProtocol: Int) throws {
        let file = try Tensors.open(goldenPath("layouts/\(kind)_\(pickleProtocol).pt"))
        let expected = try Expected("torch")
        #expect(Set(file.entries.map(\.name)) == Set(expected.names))
        for name in expected.names {
            let (read, wanted) = (try file.required(name), try expected[name])
            #expect(read.dtype == wanted.dtype && read.shape == wanted.shape, "\(name)")
            #expect(file[name]?.dtype == wanted.dtype && file[name]?.shape == wanted.shape, "\(name)")
            #expect(try read.values(as: Double.self) == wanted.values(), "\(name)")
        }
    }

    @Test func `an index of shards is one set of tensors`() throws {
        let file = try Tensors.open(
            goldenPath("layouts/text_transformers/model.safetensors.index.json"))
        let expected = try Expected("text_transformers")
        #expect(Set(file.entries.map(\.name)) == Set(expected.names))
        for name in expected.names {
            #expect(try file.required(name).values(as: Float.self) == expected[name].values(), "\(name)")
        }
        #expect(try Tensors.files(at: goldenPath("layouts/text_transformers")).count == 3)
    }

    @Test func `a folder is its weights, with a variant where that is all there is`() throws {
        #expect(try Tensors.open(goldenPath("layouts/vqgan_diffusers"))["vquantizer.embedding.weight"] != nil)
        #expect(try Tensors.open(goldenPath("layouts/stage_b_diffusers"))["clf.1.weight"] != nil)
        let folder = try ScratchFolder()
        let empty = try expectedFailure { _ = try Tensors.open(folder.path) }
        #expect(empty.blame == .input && "\(empty)".contains("no weights in the folder"))
        for name in ["model.fp16.safetensors", "model.bf16.safetensors"] {
            _ = try folder.write(name, safetensorsWithout())
        }
        let two = try expectedFailure { _ = try Tensors.open(folder.path) }
        #expect("\(two)".contains("model.bf16.safetensors, model.fp16.safetensors"))
        _ = try folder.write("model.safetensors", safetensorsWithout())
        #expect(try Tensors.open(folder.path).path == "\(folder.path)/model.safetensors")
    }

    @Test(arguments: [
        (#"{"weight_map": {"a": "../a.safetensors"}}"#, "outside of its folder"),
        (#"{"weight_map": {"a": "/etc/passwd"}}"#, "outside of its folder"),
        (#"{"weight_map": {"a": "gone.safetensors"}}"#, "gone.safetensors"),
        (#"{"weight_map": {"a": 3}}"#, "no text"),
        (#"{"weight_map": {"a": "model.index.json"}}"#, "not a readable file of weights"),
        (#"{"weight_map": {"a": "here.safetensors"}}"#, "a in here.safetensors"), (#"{"a": 3}"#, "weight_map"),
    ]) func `an index that cannot be followed is refused`(_ text: String, _ saying: String) throws {
        let folder = try ScratchFolder()
        _ = try folder.write("here.safetensors", safetensorsWithout())
        let path = try folder.write("model.index.json", Array(text.utf8))
        let failure = try expectedFailure { _ = try Tensors.open(path) }
        #expect(failure.blame == .input && "\(failure)".contains(saying), "\(failure)")
    }

    /// A safetensors file without tensors.
    private func safetensorsWithout() -> [UInt8] { [2, 0, 0, 0, 0, 0, 0, 0] + Array("{}".utf8) }
}

/// What a file of `layouts` must come to.
struct Expected {
    private let file: SafetensorsFile
    private let prefix: String
    let names: [String]

    init(_ name: String) throws {
        file = try SafetensorsFile(goldenPath("layouts/expected.safetensors"))
        let prefix = name + "/"
        self.prefix = prefix
        names = file.entries.map(\.name).filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
    }

    subscript(name: String) -> Tensor { get throws { try file.required(prefix + name) } }
}
