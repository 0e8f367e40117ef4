import Cascade
import Layers
import Settings
import TestSupport
import Testing
import Torch

/// A frozen Stage C whose blocks wait in host memory, beside one that holds all.
@Suite struct OffloadedBlocksTests {
    struct Kept: CustomTestStringConvertible {
        let golden: String
        var dtype = DType.float32
        var base: BaseDType?
        var testDescription: String { "\(golden) \(dtype) \(base?.rawValue ?? "")" }
    }

    private static let kept: [Kept] = [
        .init(golden: "stage_c_injections"), .init(golden: "stage_c_repeats"), .init(golden: "stage_c_three_levels"),
        .init(golden: "stage_c_injections", dtype: .bfloat16),
        .init(golden: "stage_c_injections", dtype: .bfloat16, base: .int8),
        .init(golden: "stage_c_injections", dtype: .bfloat16, base: .nf4),
    ]

    /// - Parameter offloading: how many blocks wait; nil for a network that holds all.
    private func network(_ kept: Kept, offloading count: Int?) throws -> StageC {
        let golden = try TowerGolden(kept.golden)
        let configuration = try StageCConfiguration.read(Setting(golden.arch, file: golden.golden.path))
        let (device, matrices) = (try testDevice(), ModelPart.stageC.matrices(in: kept.base))
        let blocks = try count.map { count in
            let outline = ParameterStore(from: Placeholders(), dtype: kept.dtype, matrices: matrices)
            let layout = BlockLayout(of: outline, try StageC(configuration, outline).blocks)
            return try SharedBlocks(layout, offloading: count, from: device)
        }
        let store = ParameterStore(
            from: golden.parameters(), dtype: kept.dtype, matrices: matrices, blocks: blocks, device: device)
        let network = try StageC(configuration, store)
        network.shared = blocks
        network.isCheckpointing = true
        network.computeDType = .float32
        return network
    }

    /// Some leaves and the output that a network makes of them.
    private struct Passed {
        let leaves: [Tensor]
        let output: Tensor

        init(_ golden: TowerGolden, _ network: StageC, scale: Double) throws {
            let device = try testDevice()
            func input(_ name: String) throws -> Tensor {
                let leaf = try (golden.input(name) * scale).to(device: device).detached()
                try leaf.setRequiresGrad(true)
                return leaf
            }
            let latents = try input("x")
            var conditions = StageC.Conditions(
                clipText: try input("clip_text"), clipTextPooled: try input("clip_text_pooled"),
                clipImage: try input("clip_img"))
            for key in golden.golden.part("in").keys where key.hasPrefix("cnet.") {
                if let index = Int(key.dropFirst("cnet.".count)) { conditions.injections[index] = try input(key) }
            }
            let injected = conditions.injections.sorted { $0.key < $1.key }.map(\.value)
            leaves = [latents, conditions.clipText, conditions.clipTextPooled, conditions.clipImage] + injected
            output = try network(latents, time: golden.input("r").to(device: device), conditions)
        }

        /// The output's numbers and those of all gradients.
        func backward() throws -> [[Float]] {
            try output.squared().sum().backward()
            return try ([output] + leaves.compactMap { try $0.gradient() }).map {
                try $0.detached().to(device: .cpu).values()
            }
        }
    }

    @Test(arguments: kept) func `outputs and gradients are those of a network that holds all, to the bit`(
        kept: Kept
    ) throws {
        let golden = try TowerGolden(kept.golden)
        let whole = try network(kept, offloading: nil)
        let expected = try [1.0, 0.5].map { try Passed(golden, whole, scale: $0).backward() }
        #expect(expected[0].count >= 5 && expected[0] != expected[1])
        for count in [1, 2, 3, Int.max] {
            let offloaded = try network(kept, offloading: count)
            let first = try Passed(golden, offloaded, scale: 1)
            // One that leaves no gradients in between, and another that goes back first.
            _ = try withoutGradients { try Passed(golden, offloaded, scale: 2) }
            let second = try Passed(golden, offloaded, scale: 0.5)
            #expect(try second.backward() == expected[1], "\(count)")
            #expect(try first.backward() == expected[0], "\(count)")
        }
    }

    @Test func `a block's numbers are gone once others were there, and come again when it is asked for`() throws {
        let kept = Kept(golden: "stage_c_three_levels")
        let golden = try TowerGolden(kept.golden)
        let (whole, offloaded) = (try network(kept, offloading: nil), try network(kept, offloading: .max))
        let first = try #require(whole.store.tensors.first { $0.name.hasPrefix("embedding.") })
        let held = try #require(offloaded.store[first.name])
        let numbers: [Float] = try first.tensor.to(device: .cpu).values()
        _ = try withoutGradients { try Passed(golden, offloaded, scale: 1) }
        #expect(try held.to(device: .cpu).values() != numbers)
        try offloaded.shared?.require("embedding")
        #expect(try held.to(device: .cpu).values() == numbers)
        // One that stays keeps them.
        let some = try network(kept, offloading: 2)
        let last = try #require(whole.store.tensors.last { $0.name.hasPrefix("clf.") })
        _ = try withoutGradients { try Passed(golden, some, scale: 1) }
        #expect(
            try some.store[last.name]?.to(device: .cpu).values() as [Float]? == last.tensor.to(device: .cpu).values())
    }
}
