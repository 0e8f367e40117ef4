import AdapterAlgebra
import AdapterKit
import Cascade
import Failures
import JSON
import TestSupport
import Testing
import Torch
import Weights

@Suite struct LowRankTests {
    private let world: AlgebraWorld

    init() throws { world = try AlgebraWorld() }

    /// The base, and a base whose channelwise layer has a 16 by 8 block of the golden's flat matrix added.
    private func pair() throws -> (base: Checkpoint, tuned: Checkpoint, difference: Tensor) {
        let flat = try #require(world.golden.tensors["matrix.flat"]).made()
        let difference = try flat.sliced(0, 0..<16).sliced(1, 0..<8).contiguous()
        let tuned = try world.base(
            fused: false,
            adding: { $0.contains("channelwise") ? try $1 + difference : $1 }, to: "tuned.safetensors")
        return (try world.base(), tuned, difference)
    }

    private func extraction(rank: Int, filters: [String] = Extraction.Configuration.usual) throws -> Extraction {
        let (base, tuned, _) = try pair()
        var configuration = Extraction.Configuration(rank: rank)
        configuration.moduleFilters = filters
        return try Extraction(from: base, to: tuned, configuration)
    }

    @Test func aDifferenceOfFullRankComesBackWhole() throws {
        let extraction = try extraction(rank: 64)
        #expect(extraction.modules.map(\.path) == ["down_blocks.0.0.channelwise.0"])
        #expect(extraction.modules[0].rank == 8 && extraction.modules[0].energy > 0.999999)
        // Attention and, as a mapper, the captions' way in.
        #expect(extraction.identical.count == 5 && extraction.identical.contains("clip_txt_mapper"))
        let path = world.folder["extracted.safetensors"]
        try extraction.write(to: path, base: BaseModel(name: "tiny", sha256: ""))
        let (base, tuned, _) = try pair()
        let merged = try world.merged([world.part(AdapterFile(path))], into: base)
        let key = "down_blocks.0.0.channelwise.0.weight"
        let left = try (merged.required(key) - tuned.file.required(key)).norm().item()
        #expect(left < 1e-5)
    }

    @Test func whatWasNotLookedAtIsTold() throws {
        // Channelwise differs by the block, each bias by 2 in every number, the projection by 3 in every number.
        let (base, _, difference) = try pair()
        let isRest = { (key: String) in key.hasSuffix("bias") || key.contains("out_proj.weight") }
        let tuned = try world.base(
            adding: { key, tensor in
                if key.contains("channelwise") && key.hasSuffix("weight") { return try tensor + difference }
                return isRest(key) ? try tensor + (key.hasSuffix("bias") ? 2 : 3) : tensor
            }, to: "further.safetensors")
        var configuration = Extraction.Configuration(rank: 8)
        configuration.moduleFilters = ["channelwise", "to_q"]
        let extraction = try Extraction(from: base, to: tuned, configuration)
        let rest = base.file.entries.filter { isRest($0.name) }
        let expected = rest.reduce(0.0) { $0 + Double($1.count) * ($1.name.hasSuffix("bias") ? 4 : 9) }
        #expect(expected > 0 && abs(extraction.rest.energy / expected - 1) < 1e-5)
        #expect(Set(extraction.rest.tensors.map(\.name)) == Set(rest.map(\.name)))
        let own = Double(try difference.norm().item())
        #expect(abs(extraction.energyOfAll - own * own / (own * own + expected)) < 1e-4)
        #expect(extraction.modules.energy > 0.999)
    }

    @Test(arguments: [1, 3]) func energyIsWhatTheMergeKeeps(rank: Int) throws {
        let extraction = try extraction(rank: rank)
        let path = world.folder["extracted.safetensors"]
        try extraction.write(to: path, base: BaseModel(name: "tiny", sha256: "0"))
        let (base, tuned, difference) = try pair()
        let merged = try world.merged([world.part(AdapterFile(path))], into: base)
        let key = "down_blocks.0.0.channelwise.0.weight"
        let left = try (merged.required(key) - tuned.file.required(key)).norm().item()
        let whole = try difference.norm().item()
        #expect(abs(1 - left * left / (whole * whole) - extraction.modules.energy) < 1e-4)
        let described = try AdapterFile(path).described("energy")
        #expect(described["down_blocks.0.0.channelwise.0"]?.doubleValue != nil)
    }

    @Test func aPairThatIsNoneIsRefused() throws {
        let (base, tuned, _) = try pair()
        let same = try #require(throws: Failure.self) { try Extraction(from: base, to: base, .init(rank: 2)) }
        #expect(same.what.contains("do not differ"))
        let unknown = try #require(throws: Failure.self) { try extraction(rank: 2, filters: ["atten."]) }
        #expect(unknown.got == "`atten.`" && unknown.expected?.contains("attention.attn.to_q") == true)
        let wide = try world.base(
            adding: { $0.contains("channelwise") ? try .concatenated([$1, $1], dimension: 0) : $1 },
            to: "wide.safetensors")
        let misfit = try #require(throws: Failure.self) { try Extraction(from: tuned, to: wide, .init(rank: 2)) }
        #expect(misfit.expected == "[16, 8]" && misfit.got == "[32, 8]")
    }

    @Test func aResizedLoRAIsTheBestOfItsRank() throws {
        // Rank 60 at [60, 40]: the product is the golden's matrix, whose best approximations are known.
        let flat = try #require(world.golden.tensors["matrix.flat"])
        let identity = (0..<1600).map { Float($0 % 41 == 0 ? 1 : 0) }
        let tensors = ["clf.1.lora_up.weight": flat, "clf.1.lora_down.weight": Golden.Tensor(identity, [40, 40])]
        let file = try world.lora("wide", rank: 40, tensors: tensors)
        let resizing = try Resizing(of: file, AlgebraWorld.plugIns.changes(in: file), to: 4)
        let path = world.folder["resized.safetensors"]
        try resizing.write(to: path)
        let resized = try AdapterFile(path)
        #expect(resized.weights.metadata["rank"] == "4" && resized.weights.metadata["base_model"] == "tiny")
        guard case .lowRank(let change)? = try AlgebraWorld.plugIns.changes(in: resized).first else {
            Issue.record("no LoRA came back")
            return
        }
        #expect(change.rank == 4 && change.scale == 1)
        let left = try (change.up.matmul(change.down) - flat.made()).norm().item()
        let best = try Double(#require(world.golden.tensors["best.flat"]).floats[0])
        #expect(abs(left - best) < 1e-4 * best)
    }

    @Test func aLargerRankKeepsTheFiles() throws {
        let file = try world.lora("one", rank: 2)
        let resizing = try Resizing(of: file, AlgebraWorld.plugIns.changes(in: file), to: 16)
        #expect(resizing.modules.allSatisfy { $0.rank == 2 && $0.energy == 1 })
    }
}
