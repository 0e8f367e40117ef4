import Cascade
import Failures
import Glibc
import Layers
import Testing
import Torch
import Weights

/// A folder of its own for one test, removed behind it.
private func withFolder(_ body: (String) throws -> Void) throws {
    var template = Array("/tmp/cascade-start-XXXXXX".utf8CString)
    let made = template.withUnsafeMutableBufferPointer { buffer in
        buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) }
    }
    let folder = try #require(made)
    defer {
        unlink("\(folder)/weights.safetensors")
        rmdir(folder)
    }
    try body(folder)
}

@Suite struct ControlNetStartTests {
    /// The tensors of a drawn encoder, their keys behind another prefix than `backbone.`.
    private func encoder(prefix: String = "backbone.") throws -> [(name: String, tensor: Tensor)] {
        let store = ParameterStore(from: DrawnParameters(try Generator(seed: 8)), dtype: .bfloat16)
        _ = try EffNetEncoder(.init(), store.root)
        return store.tensors.map { ($0.name.replacing("backbone.", with: prefix), $0.tensor) }
    }

    private func start(_ file: any NamedTensors, inputs: Int) throws -> ParameterStore {
        let configuration = ControlNetTrunk.Configuration(inputs: inputs, projected: 8, blocks: [3])
        let source = try ControlNetStart(configuration, backbone: Checkpoint(file), generator: Generator(seed: 9))
        let store = ParameterStore(from: source)
        _ = try ControlNetTrunk(configuration, store.root)
        try store.finish()
        return store
    }

    private func expectEqual(_ ours: Tensor?, _ theirs: Tensor, _ what: Comment) throws {
        let ours = try #require(ours, what)
        try #require(ours.shape == theirs.shape, what)
        #expect(try (ours - theirs.to(dtype: .float32)).abs().sum().item() == 0, what)
    }

    @Test(arguments: ["backbone.", "features."])
    func takesTheBackboneOfAnEncoder(prefix: String) throws {
        let saved = try encoder(prefix: prefix)
        try withFolder { folder in
            let path = "\(folder)/weights.safetensors"
            let counter = ("\(prefix)0.1.num_batches_tracked", try Tensor([1], shape: []))
            try SafetensorsWriter.write(saved + [counter], to: path)
            let file = try SafetensorsFile(path)
            let stem = try file.required("\(prefix)0.0.weight")  // [24, 3, 3, 3]
            for inputs in [1, 3, 5] {
                let store = try start(file, inputs: inputs)
                let ours = try #require(store["backbone.0.0.weight"])
                let shared = min(3, inputs)
                #expect(ours.shape == [24, inputs, 3, 3])
                try expectEqual(ours.sliced(1, 0..<shared), stem.sliced(1, 0..<shared), "stem of \(inputs)")
                #expect(try ours.sliced(1, shared..<inputs).abs().sum().item() == 0)
                for entry in store.entries where entry.key.hasPrefix("backbone.") && entry.key != "backbone.0.0.weight"
                {
                    let key = prefix + entry.key.dropFirst("backbone.".count)
                    try expectEqual(entry.tensor, file.required(key), "\(key)")
                }
                #expect(try #require(store["projections.0.0.weight"]).abs().sum().item() > 0)
                #expect(try #require(store["projections.0.2.weight"]).abs().sum().item() == 0)
            }
        }
    }

    @Test func refusesAFileThatDoesNotFit() throws {
        try withFolder { folder in
            let path = "\(folder)/weights.safetensors"
            try SafetensorsWriter.write([("mapper.0.weight", try .zeros([1]))], to: path)
            let empty = try failure { _ = try start(SafetensorsFile(path), inputs: 1) }
            #expect(empty.blame == .input)
            #expect(empty.place?.file == path)
            #expect(empty.expected?.contains("backbone.") == true)

            try SafetensorsWriter.write([("backbone.0.0.weight", try .zeros([24, 3, 3, 3]))], to: path)
            let partial = try failure { _ = try start(SafetensorsFile(path), inputs: 1) }
            #expect(partial.what.contains("missing (backbone.0.1.weight"))

            let simple = ControlNetTrunk.Configuration(blocks: [0], bottleneckMode: .simple)
            let other = try failure {
                _ = try ControlNetStart(
                    simple, backbone: Checkpoint(SafetensorsFile(path)), generator: Generator(seed: 1))
            }
            #expect(other.what.contains("simple"))
        }
    }
}
