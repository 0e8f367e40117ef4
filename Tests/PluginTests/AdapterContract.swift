import AdapterKit
import Failures
import Foundation
import Optimization
import TestSupport
import Testing
import Torch
import Weights

/// What every adapter keeps.
@Suite struct AdapterContract {
    @Test(arguments: AdapterCase.allCases)
    func aNewAdapterComputesWhatTheBaseDoes(adapterCase: AdapterCase) throws {
        let world = try AdaptedWorld()
        let before = try world.answer().values(as: Float.self)
        let adapter = try adapterCase.make(for: world)
        #expect(!adapter.parameters.isEmpty)
        #expect(adapter.parameters.allSatisfy { $0.tensor.dtype == .float32 && $0.tensor.requiresGrad })
        try adapter.attach()
        #expect(try world.answer().values(as: Float.self) == before)
    }

    @Test(arguments: AdapterCase.allCases)
    func detachedItLeavesTheModelAsItWas(adapterCase: AdapterCase) throws {
        let world = try AdaptedWorld()
        let before = try world.answer().values(as: Float.self)
        let adapter = try adapterCase.make(for: world)
        try stir(adapter)
        #expect(try world.answer().values(as: Float.self) == before)
        try adapter.attach()
        #expect(try world.answer().values(as: Float.self) != before)
        adapter.detach()
        #expect(try world.answer().values(as: Float.self) == before)
    }

    @Test(arguments: AdapterCase.allCases)
    func fusedItComputesWhatItDidAttached(adapterCase: AdapterCase) throws {
        let world = try AdaptedWorld()
        let base = try world.answer()
        let adapter = try adapterCase.make(for: world)
        try stir(adapter)
        try adapter.attach()
        let attached = try world.answer()
        adapter.detach()
        try adapter.fuse()
        let fused = try world.answer()
        let change = try relativeError(attached, base)
        #expect(change > 0.01)
        #expect(try relativeError(fused, attached) < 1e-4 * min(1, change))
    }

    @Test(arguments: AdapterCase.allCases)
    func aFileCarriesItElsewhere(adapterCase: AdapterCase) throws {
        let (world, elsewhere) = (try AdaptedWorld(), try AdaptedWorld())
        let scratch = try Scratch()
        let adapter = try adapterCase.make(for: world)
        try stir(adapter)
        try adapter.attach()
        let contents = try write(adapter, world.model, to: scratch["one"])
        #expect(contents.kinds == [adapter.kind.name])
        #expect(try AdapterFile(scratch["one"]).trainedSteps == 12)

        let read = try adapterCase.read(scratch["one"], for: elsewhere)
        #expect(read.parameters.map(\.name) == adapter.parameters.map(\.name))
        try read.attach()
        #expect(try elsewhere.answer().values(as: Float.self) == world.answer().values(as: Float.self))
        // What was read may be trained on, and written again the same.
        #expect(read.parameters.allSatisfy { $0.tensor.requiresGrad })
        try write(read, elsewhere.model, to: scratch["two"])
        let again = try SafetensorsFile(scratch["two"])
        for (name, tensor) in contents.tensors {
            #expect(try again.required(name).values(as: Float.self) == tensor.detached().values(as: Float.self))
        }
    }

    @Test(arguments: AdapterCase.allCases)
    func aFileIsItsParametersAndLittleMore(adapterCase: AdapterCase) throws {
        let world = try AdaptedWorld()
        let scratch = try Scratch()
        let adapter = try adapterCase.make(for: world)
        let contents = try write(adapter, world.model, to: scratch["adapter"])
        let size = try Data(contentsOf: URL(fileURLWithPath: scratch["adapter"])).count
        let numbers = contents.tensors.reduce(0) { $0 + $1.tensor.byteCount }
        #expect(size >= numbers && size <= numbers + 65536 + 128 * contents.tensors.count)
        // Of the base nothing is inside.
        #expect(contents.tensors.allSatisfy { world.model.stageC.store[$0.name] == nil })
    }

    @Test(arguments: AdapterCase.allCases)
    func trainingItLeavesTheBaseAlone(adapterCase: AdapterCase) throws {
        let world = try AdaptedWorld()
        let before = try world.numbers()
        let adapter = try adapterCase.make(for: world)
        try adapter.attach()
        let optimizer = try AdamW([.init(adapter.parameters, weightDecay: 0.01)])
        for _ in 0..<2 {
            try world.answer().squared().mean().backward()
            for entry in world.model.stageC.store.entries + world.textStore.entries {
                #expect(try entry.tensor.gradient() == nil, "\(entry.key)")
            }
            for (name, tensor) in adapter.parameters {
                #expect(try tensor.gradient()?.isAllFinite() == true, "\(name)")
            }
            let norm = try optimizer.groups.gradientNorm()
            #expect(norm > 0)
            try optimizer.step(learningRate: 0.1)
            try optimizer.clearGradients()
        }
        #expect(try world.numbers() == before)
    }

    @Test(arguments: AdapterCase.allCases)
    func aSeedMakesTheSameAdapter(adapterCase: AdapterCase) throws {
        func numbers(_ seed: UInt64) throws -> [[Float]] {
            try adapterCase.make(for: AdaptedWorld(), seed: seed).parameters.map { try $0.tensor.detached().values() }
        }
        let first = try numbers(4)
        #expect(try numbers(4) == first)
        if first.contains(where: { $0.contains { $0 != 0 } }) { #expect(try numbers(5) != first) }
    }

    @Test(arguments: AdapterCase.allCases)
    func fileOfAnotherModelIsRefused(adapterCase: AdapterCase) throws {
        let world = try AdaptedWorld()
        let scratch = try Scratch()
        let adapter = try adapterCase.make(for: world)
        var contents = AdapterContents(base: world.model.base, steps: 1)
        try adapter.write(to: &contents)
        contents.tensors = try contents.tensors.map { ($0.name, try .zeros($0.tensor.shape.map { $0 + 1 })) }
        try contents.write(to: scratch["other"])
        let failure = try #require(throws: Failure.self) { _ = try adapterCase.read(scratch["other"], for: world) }
        #expect(failure.blame == .input && failure.place?.file == scratch["other"])
        #expect(failure.expected?.contains("shape") == true)
    }

    @Test(arguments: [
        ["format": "pt"], ["format": AdapterFile.format], ["format": AdapterFile.format, "format_version": "2"],
    ])
    func fileOfAnotherFormatIsRefused(metadata: [String: String]) throws {
        let scratch = try Scratch()
        try SafetensorsWriter.write([("a", try .zeros([1]))], metadata: metadata, to: scratch["other"])
        let failure = try #require(throws: Failure.self) { _ = try AdapterFile(scratch["other"]) }
        #expect(failure.blame == .input && failure.place?.file == scratch["other"])
    }
}
