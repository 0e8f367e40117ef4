import Cascade
import Failures
import Generation
import TestSupport
import Testing
import Torch

/// Networks by the value that names them, without a configuration.
@Suite struct ModelLoadingTests {
    private static let place = Failure.Place("models.yaml", line: 7)

    private func source(_ name: String) -> ModelFiles.Source { .init(key: "a_key", name: name, place: Self.place) }

    private func files() throws -> ModelFiles {
        let (world, stageB) = (try TinyWorld.shared(), try TinyStageB.shared())
        var files = ModelFiles()
        files.stageC = .init(architecture: source(world.folder["tiny.yaml"]), weights: source(world.base))
        files.stageB = .init(architecture: source(stageB.architecture), weights: nil)
        files.stageA = source(stageB.stageA)
        files.effnet = source(world.effnet)
        files.previewer = source(world.folder["previewer.safetensors"])
        files.text = source(world.text)
        return files
    }

    @Test func `each network is loaded by itself`() throws {
        let all = try files()
        func alone(_ keep: (inout ModelFiles) -> Void) -> ModelLoading {
            var files = ModelFiles()
            keep(&files)
            return ModelLoading(files)
        }
        let base = try alone { $0.stageC = all.stageC }.base()
        #expect(base.stageC.configuration == TinyWorld.architecture && base.identity.sha256.count == 64)
        #expect(try alone { $0.text = all.text }.textEncoder()(["a dog"]).pooled.shape == [1, 1, 16])
        let image = try Tensor.zeros([1, 3, 64, 64])
        try withoutGradients {
            let latents = try alone { $0.effnet = all.effnet }.effnet().latents(of: image)
            #expect(latents.shape == [1, 16, 2, 2])
            #expect(try alone { $0.previewer = all.previewer }.previewer()(latents).shape == [1, 3, 16, 16])
            #expect(try alone { $0.stageA = all.stageA }.stageA().encode(image).shape == [1, 4, 16, 16])
        }
        #expect(try ModelLoading(all).files.stageBArchitecture() == TinyStageB.configuration)
        #expect(try ModelLoading(all).imageEncoder() == nil)
    }

    @Test func `a base whose blocks wait in host memory predicts what one that is there does`() throws {
        var files = try files()
        func prediction() throws -> [Float] {
            let (stageC, c) = (try ModelLoading(files).stageC(), TinyWorld.architecture)
            let generator = try Generator(seed: 4)
            func drawn(_ shape: [Int]) throws -> Tensor { try generator.normal(shape) }
            let conditions = StageC.Conditions(
                clipText: try drawn([1, 5, c.clipTextWidth]), clipTextPooled: try drawn([1, 1, c.clipTextPooledWidth]),
                clipImage: try drawn([1, 1, c.clipImageWidth]))
            return try withoutGradients {
                try stageC(drawn([1, c.inputs, 4, 4]), time: Tensor([Float(0.4)]), conditions).values()
            }
        }
        let whole = try prediction()
        for count in [1, 4, Int.max] {
            files.offloadedBlocks = count
            #expect(try prediction() == whole)
        }
    }

    @Test func `a network that is not there is told with the place that names it`() throws {
        var files = ModelFiles()
        (files.effnet, files.text, files.image) = (source("no/file"), source("no/folder"), source("no/folder"))
        files.stageC = .init(architecture: source("huge"), weights: nil)
        let loading = ModelLoading(files)
        for body: () throws -> Void in [
            { _ = try loading.effnet() }, { _ = try loading.textEncoder() }, { _ = try loading.imageEncoder() },
            { _ = try files.stageCArchitecture() },
        ] {
            let failure = try expectedFailure(body)
            #expect(failure.blame == .input && failure.place == Self.place && failure.expected != nil, "\(failure)")
        }
    }

    @Test func `a network that nobody names is told by its name`() throws {
        let loading = ModelLoading(ModelFiles())
        let failure = try expectedFailure { _ = try loading.effnet() }
        #expect(failure.blame == .input && failure.what.contains(ModelPart.effnet.description))
        #expect(try expectedFailure { _ = try loading.base() }.what.contains(ModelPart.stageC.description))
    }

    @Test func `a tower that leaves its file behind each layer makes what one that stays makes`() throws {
        let leaving = try ModelLoading(files()).textEncoder()
        let staying = try TextEncoder.load(folder: TinyWorld.shared().text)
        #expect(leaving.tower.isLeavingFiles && !staying.tower.isLeavingFiles)
        let expected = try staying(["a dog"])
        for _ in 0..<2 {
            let found = try leaving(["a dog"])
            #expect(try largestDifference(found.tokens, expected.tokens) == 0)
            #expect(try largestDifference(found.pooled, expected.pooled) == 0)
        }
    }
}
