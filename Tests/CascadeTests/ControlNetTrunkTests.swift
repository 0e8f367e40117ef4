import Cascade
import Failures
import Layers
import Settings
import Testing
import Torch

@Suite struct ControlNetTrunkTests {
    private func trunk(_ golden: TowerGolden) throws -> (trunk: ControlNetTrunk, store: ParameterStore) {
        let mode = try #require(golden.arch["bottleneck_mode"]?.stringValue)
        let blocks = try #require(golden.arch["proj_blocks"]?.arrayValue).compactMap(\.intValue)
        let configuration = ControlNetTrunk.Configuration(
            inputs: try golden.whole("c_in"), projected: try golden.whole("c_proj"), blocks: blocks,
            bottleneckMode: try #require(.init(rawValue: mode)), efficientNet: try golden.efficientNet())
        let store = ParameterStore(from: golden.parameters())
        let trunk = try ControlNetTrunk(configuration, store.root)
        try store.finish()
        return (trunk, store)
    }

    @Test(arguments: ["controlnet_effnet_1", "controlnet_effnet_3", "controlnet_narrow", "controlnet_simple"])
    func yieldsWhatThePeerYields(name: String) throws {
        let golden = try TowerGolden(name)
        let (trunk, _) = try trunk(golden)
        let outputs = try trunk(golden.input("image"))
        #expect(outputs.keys.sorted() == trunk.configuration.blocks)
        for (block, output) in outputs {
            #expect(try difference(output, golden.output("cnet.\(block)")) < 1e-3)
        }
    }

    /// The sum over blocks of the mean squared error, whose gradients the goldens hold; leaves them on the parameters.
    private func backward(
        _ golden: TowerGolden, isCheckpointing: Bool, in dtype: DType = .float32
    ) throws -> (loss: Double, outputs: [Int: Tensor], store: ParameterStore) {
        let (trunk, store) = try trunk(golden)
        trunk.isCheckpointing = isCheckpointing
        trunk.computeDType = dtype
        try store.setTrainable(true)
        let outputs = try trunk(golden.input("image"))
        let losses = try outputs.sorted { $0.key < $1.key }.map { block, output in
            try output.to(dtype: .float32).meanSquaredError(to: golden.input("target.\(block)"))
        }
        let loss = try Tensor.stacked(losses).sum()
        try loss.backward()
        return (try loss.item(), outputs, store)
    }

    /// The places of the elements that a golden keeps of a gradient.
    private func sampled(_ gradient: Tensor, as sample: Tensor) throws -> Tensor {
        let places = (0..<sample.count).map { $0 * gradient.count / sample.count }
        return try gradient.reshaped([gradient.count]).gathered(0, Tensor(places))
    }

    @Test(arguments: [false, true])
    func gradientsOfTheSimpleTrunkAreAutograds(isCheckpointing: Bool) throws {
        let golden = try TowerGolden("gradients_controlnet_simple")
        let (loss, _, store) = try backward(golden, isCheckpointing: isCheckpointing)
        #expect(try abs(loss - golden.output("loss").item()) < 1e-5)
        let names = golden.golden.part("out.grad").keys
        #expect(names.sorted() == store.parameters.map(\.name).sorted())
        for name in names {
            let gradient = try gradient(of: store[name], name)
            #expect(try relativeError(gradient, golden.output("grad.\(name)")) < 1e-3, "\(name)")
        }
    }

    @Test(arguments: [false, true])
    func gradientsOfTheEffNetTrunkAreAutograds(isCheckpointing: Bool) throws {
        let golden = try TowerGolden("gradients_controlnet_effnet")
        let (loss, _, store) = try backward(golden, isCheckpointing: isCheckpointing)
        let expected = try golden.output("loss").item()
        #expect(abs(loss - expected) < 1e-4 * expected)
        let names = golden.golden.part("out.norm").keys
        #expect(names.sorted() == store.parameters.map(\.name).sorted())
        for name in names {
            let gradient = try gradient(of: store[name], name)
            let norm = try golden.output("norm.\(name)").item()
            #expect(try abs(gradient.norm().item() - norm) < 1e-3 * norm, "\(name)")
            let sample = try golden.output("sample.\(name)")
            let ours = try sampled(gradient, as: sample)
            // Sixteen elements may all be small, so their error is held against the whole gradient's share too.
            let share = norm * (Double(sample.count) / Double(gradient.count)).squareRoot()
            let bar = try 1e-3 * max(share, sample.norm().item())
            #expect(try (ours - sample).norm().item() < bar, "\(name)")
        }
        // Trained in eval mode: the statistics stay what they were.
        for entry in store.entries where entry.isBuffer {
            let drawn = try golden.parameters().value(entry.key, shape: entry.tensor.shape, initial: .zeros)
            #expect(try (entry.tensor - drawn).abs().sum().item() == 0, "\(entry.key)")
        }
    }

    @Test(arguments: [false, true])
    func `in bfloat16 the EffNet trunk errs no more than under autocast`(isCheckpointing: Bool) throws {
        let golden = try TowerGolden("gradients_controlnet_effnet")
        let (_, outputs, store) = try backward(golden, isCheckpointing: isCheckpointing, in: .bfloat16)
        for (block, output) in outputs {
            #expect(output.dtype == .bfloat16)
            let error = try relativeError(output.to(dtype: .float32), golden.output("cnet.\(block)"))
            #expect(try error < golden.output("autocast.cnet.\(block)").item(), "block \(block)")
        }
        let errors = try golden.golden.part("out.norm").keys.map { name in
            let sample = try golden.output("sample.\(name)")
            return try relativeError(sampled(gradient(of: store[name], name), as: sample), sample)
        }
        #expect(
            try errors.reduce(0, +) / Double(errors.count) < golden.output("autocast.samples").item())
    }

    @Test func aNewTrunkAddsNothing() throws {
        let generator = try Generator(seed: 2)
        let store = ParameterStore(from: DrawnParameters(generator))
        let trunk = try ControlNetTrunk(
            .init(inputs: 2, projected: 6, blocks: [7, 1], bottleneckMode: .simple), store.root)
        let outputs = try trunk(generator.uniform([1, 2, 5, 4]))
        #expect(outputs.keys.sorted() == [1, 7])
        for output in outputs.values {
            #expect(output.shape == [1, 6, 5, 4])
            #expect(try output.abs().sum().item() == 0)
        }
    }

    @Test func projectionsAreNumberedInTheOrderOfTheBlocks() throws {
        let generator = try Generator(seed: 2)
        let store = ParameterStore(from: DrawnParameters(generator))
        let trunk = try ControlNetTrunk(
            .init(inputs: 2, projected: 6, blocks: [7, 1], bottleneckMode: .simple), store.root)
        try #require(store["projections.1.2.weight"]).assign(.full([6, 2, 1, 1], 1))
        let outputs = try trunk(generator.uniform([1, 2, 5, 4]))
        #expect(try #require(outputs[7]).abs().sum().item() == 0)
        #expect(try #require(outputs[1]).abs().sum().item() > 0)
    }

    @Test func theLargeTrunkHasThePublishedKeys() throws {
        let store = ParameterStore(from: Placeholders())
        _ = try ControlNetTrunk(.init(inputs: 16, blocks: [0], bottleneckMode: .large), store.root)
        func expect(_ key: String, _ shape: [Int]) {
            #expect(store[key]?.shape == shape, "\(key)")
        }
        for (layer, inputs, outputs) in [("0", 16, 16384), ("2", 16384, 1024), ("11", 1024, 1280)] {
            expect("backbone.\(layer).weight", [outputs, inputs, 1, 1])
            expect("backbone.\(layer).bias", [outputs])
        }
        for block in 3...10 {
            for (norm, convolution) in [(0, 2), (3, 5)] {
                expect("backbone.\(block).blocks.\(norm).weight", [1024])
                expect("backbone.\(block).blocks.\(norm).bias", [1024])
                expect("backbone.\(block).blocks.\(convolution).weight", [1024, 1024, 3, 3])
                expect("backbone.\(block).blocks.\(convolution).bias", [1024])
            }
        }
        expect("projections.0.0.weight", [1280, 1280, 1, 1])
        expect("projections.0.2.weight", [2048, 1280, 1, 1])
        #expect(store.entries.count == 6 + 8 * 8 + 2)
    }

    @Test func refusesConfigurationsThatCannotBe() throws {
        let store = ParameterStore(from: Placeholders())
        func refused(_ configuration: ControlNetTrunk.Configuration) throws -> Failure {
            try failure { _ = try ControlNetTrunk(configuration, store.root) }
        }
        #expect(try refused(.init(inputs: Int.max, blocks: [0], bottleneckMode: .simple)).what.contains("c_in"))
        #expect(try refused(.init(projected: 0, blocks: [0])).what.contains("c_proj"))
        #expect(try refused(.init(blocks: [])).what.contains("proj_blocks"))
        #expect(try refused(.init(blocks: [0, -1])).got == "-1")
        #expect(try refused(.init(blocks: [4, 0, 4])).what.contains("twice"))
    }

    @Test func refusesImagesThatCannotBe() throws {
        let store = ParameterStore(from: Placeholders())
        let trunk = try ControlNetTrunk(.init(inputs: 1, projected: 32, blocks: [0]), store.root)
        #expect(try failure { _ = try trunk(.zeros([1, 3, 64, 64])) }.expected == "[any, 1, any, any]")
        // The stem without padding needs three pixels.
        #expect(try failure { _ = try trunk(.zeros([1, 1, 2, 64])) }.what.contains("too small"))
        #expect(try #require(trunk(.zeros([1, 1, 3, 3]))[0]).shape == [1, 32, 1, 1])
    }
}

extension TowerGolden {
    /// What the golden says of the trunk's EfficientNet.
    fileprivate func efficientNet() throws -> EfficientNet.Configuration {
        var fields = try Setting(arch, file: "controlnet").fields()
        return try EfficientNet.Configuration(&fields)
    }
}
