import AdapterKit
import EdgeFilter
import Failures
import Files
import IdentityFilter
import Models
import Settings
import TestSupport
import Testing
import Torch

@Suite struct FilterModelTests {
    /// A model that one of our filters declares.
    private func model(_ name: String) throws -> PublishedModel {
        let filters: [any ControlFilter.Type] = [IdentityFilter.self, PidiFilter.self]
        return try #require(filters.flatMap { $0.models }.first { $0.name == name })
    }

    @Test func aModelOfSeveralFilesIsAFolder() throws {
        let scratch = try Scratch()
        let model = try FilterModel(model("mtcnn"), path: scratch.path) { $0 }
        try writeAtomically("x", to: scratch["pnet.onnx"])
        let failure = try #require(throws: Failure.self) { try model.network() }
        #expect(failure.blame == .input && failure.place == .init(scratch.path))
        #expect(failure.what.contains("face detector") && failure.expected == "rnet.onnx, onet.onnx")
        #expect(failure.advice == "cascade-adapt models get mtcnn -o \(scratch.path)")
        #expect(model.file == .init(name: "mtcnn", path: scratch.path, isThere: false))
        for name in ["rnet.onnx", "onet.onnx"] { try writeAtomically("x", to: scratch[name]) }
        #expect(model.file.isThere)
        #expect(try model.network() == scratch.path)
    }

    @Test func whatNoCommandGetsIsToldInWords() throws {
        let model = try FilterModel(model("buffalo-l"), path: "/nowhere/det_10g.onnx") { $0 }
        let failure = try #require(throws: Failure.self) { try model.check() }
        #expect(failure.place == .init("/nowhere/det_10g.onnx"))
        #expect(failure.expected == "det_10g.onnx")
        #expect(failure.advice?.contains("buffalo_l.zip") == true)
    }

    @Test func aMissingFileIsSoughtInTheCacheToo() throws {
        // It lies on the hub, which has a cache.
        let model = try FilterModel(model("pidinet"), path: nil) { $0 }
        guard !model.file.isThere else { return }
        let failure = try #require(throws: Failure.self) { try model.check() }
        #expect(failure.place == .init("models/table5_pidinet.pth"))
        #expect(failure.expected?.hasPrefix("table5_pidinet.pth there or in /") == true)
        #expect(failure.expected?.hasSuffix("models--lllyasviel--Annotators/snapshots") == true)
        #expect(failure.advice == "cascade-adapt models get pidinet")
    }
}

/// A filter of somebody else's, with a model of its own at an address.
private struct ForeignFilter: ControlFilter {
    static let name = "ForeignFilter"
    static let parameters = [FilterParameter("weights", type: "path or null", default: "null", "its file")]
    static let content = "a network"
    static let ghost = PublishedModel(
        name: "ghost", description: "what no image shows",
        source: .web("https://example.org/files/ghost.bin", sha256: SHA256.hex(of: Array(content.utf8))),
        licence: "MIT", megabytes: 1)
    static let models = [ghost, .effnet]

    let channels = 1
    let model: FilterModel<String>

    init(parameters fields: inout Fields) throws {
        model = FilterModel(Self.ghost, path: try fields.optional("weights")) {
            String(decoding: try readFile($0), as: UTF8.self)
        }
    }

    var modelFiles: [FilterModelFile] { [model.file] }

    func prepare() throws { _ = try model.network() }

    func callAsFunction(_ images: Tensor, generator: Generator) throws -> ControlCondition {
        ControlCondition(condition: try images.sliced(1, 0..<1), preview: images)
    }
}

@Suite struct ForeignModelTests {
    @Test func theRegistryKnowsTheModelsOfItsFiltersBehindTheOfficialOnes() {
        let official = PublishedModel.official.map(\.name)
        let ours = PlugIns(filters: [PidiFilter.self], adapters: [])
        #expect(ours.models.map(\.name) == official + ["pidinet"])
        // The encoder, which is official, and is not listed twice.
        #expect(ours.adding(filters: [ForeignFilter.self]).models.map(\.name) == official + ["pidinet", "ghost"])
    }

    @Test func aMissingModelIsToldWithTheCommandThatGetsIt() throws {
        let filter = try ForeignFilter.make(.parse("", file: "filter.yaml"))
        #expect(filter.modelFiles == [.init(name: "ghost", path: "models/ghost.bin", isThere: false)])
        let failure = try #require(throws: Failure.self) { try filter.prepare() }
        #expect(failure.blame == .input && failure.place == .init("models/ghost.bin"))
        #expect(failure.what.contains("(what no image shows; licence: MIT)"))
        #expect(failure.advice == "cascade-adapt models get ghost")
        let named = try ForeignFilter.make(.parse("{weights: /nowhere/g.bin}", file: "filter.yaml"))
        #expect(
            try #require(throws: Failure.self) { try named.prepare() }.advice
                == "cascade-adapt models get ghost -o /nowhere/g.bin")
    }

    @Test func theModelIsFetchedByItsHashAndOpened() throws {
        let scratch = try Scratch()
        let server = try LoopbackServer { $0.reply(Array(ForeignFilter.content.utf8)) }
        let fetch = ModelFetch(hub: try Hub { _ in nil })
        func model(_ sha256: String) -> PublishedModel {
            PublishedModel(
                name: "ghost", description: "", source: .web("\(server.address)/ghost.bin", sha256: sha256), licence: ""
            )
        }
        let right = SHA256.hex(of: Array(ForeignFilter.content.utf8))
        let wrong = String(repeating: "0", count: 64)
        let refused = try #require(throws: Failure.self) { try fetch(model(wrong), to: scratch["ghost.bin"]) }
        #expect(refused.blame == .input && refused.got == right && !fileExists(scratch["ghost.bin"]))
        #expect(try fetch(model(right), to: scratch.path + "/").first?.news?.isChecked == true)
        let filter = try ForeignFilter.make(.parse("{weights: \(scratch["ghost.bin"])}", file: "filter.yaml"))
        #expect(filter.model.file.isThere)
        #expect(try filter.model.network() == ForeignFilter.content)
        // What is there is checked, and not fetched again.
        #expect(try fetch(model(right), to: scratch["ghost.bin"]).first?.news == nil)
        #expect(throws: Failure.self) { try fetch(model(wrong), to: scratch["ghost.bin"]) }
        #expect(server.requests.count == 2)
    }
}
