import Failures
import TestSupport
import Testing
import Torch
import Weights

/// Files of `torch.save`, against the tensors that went in (`Tests/Goldens/write_layouts.py`).
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

    @Test func `names of an index that differ by their normal form alone are refused`() throws {
        let folder = try ScratchFolder()
        let names = ["caf\u{e9}", "cafe\u{301}"]
        for (number, name) in names.enumerated() {
            try SafetensorsWriter.write([(name, Tensor([1.0]))], to: "\(folder.path)/\(number).safetensors")
        }
        let map = names.enumerated().map { "\"\($1)\": \"\($0).safetensors\"" }.joined(separator: ", ")
        let path = try folder.write("model.index.json", Array("{\"weight_map\": {\(map)}}".utf8))
        let failure = try expectedFailure { _ = try Tensors.open(path) }
        #expect(failure.blame == .input && "\(failure)".contains("in 5 and in 6 bytes"), "\(failure)")
        // Each file by itself is read, and one spelling does not find the other.
        let one = try Tensors.open("\(folder.path)/0.safetensors")
        #expect(one["caf\u{e9}"] != nil && one["cafe\u{301}"] == nil)
    }

    @Test(arguments: [
        (Array("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n".utf8), "Git LFS pointer"),
        (Array("\n<!DOCTYPE HTML><html><title>Sign in</title></html>".utf8), "HTML"),
        (Array("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".utf8), "XML page"),
        (Array("PK\u{5}\u{6}".utf8) + [UInt8](repeating: 0, count: 18), "a zip archive"),
        ([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3, 4], "a gzip archive"),
    ]) func `what lies in the place of weights is named`(_ bytes: [UInt8], _ name: String) throws {
        let folder = try ScratchFolder()
        let path = try folder.write("weights.safetensors", bytes)
        for open in [{ _ = try Tensors.open(path) }, { _ = try SafetensorsFile(path) }] as [() throws -> Void] {
            let failure = try expectedFailure(open)
            #expect(failure.blame == .input && "\(failure)".contains(name) && failure.advice != nil, "\(failure)")
        }
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
