import AdapterKit
import Failures
import Files
import TestSupport
import Testing

@Suite struct FilterModelTests {
    @Test func aModelOfSeveralFilesIsAFolder() throws {
        let scratch = try Scratch()
        let model = FilterModel("mtcnn", path: scratch.path) { $0 }
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
        let model = FilterModel("buffalo-l", path: "/nowhere/det_10g.onnx") { $0 }
        let failure = try #require(throws: Failure.self) { try model.check() }
        #expect(failure.place == .init("/nowhere/det_10g.onnx"))
        #expect(failure.expected == "det_10g.onnx")
        #expect(failure.advice?.contains("buffalo_l.zip") == true)
    }

    @Test func aMissingFileIsSoughtInTheCacheToo() throws {
        // The program's own list of models; "saliency" has no cache, "pidinet" lies on the hub.
        let model = FilterModel("pidinet", path: nil) { $0 }
        guard !model.file.isThere else { return }
        let failure = try #require(throws: Failure.self) { try model.check() }
        #expect(failure.place == .init("models/table5_pidinet.pth"))
        #expect(failure.expected?.hasPrefix("table5_pidinet.pth there or in /") == true)
        #expect(failure.expected?.hasSuffix("models--lllyasviel--Annotators/snapshots") == true)
        #expect(failure.advice == "cascade-adapt models get pidinet")
    }
}
