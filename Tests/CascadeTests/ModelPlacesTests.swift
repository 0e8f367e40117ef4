import Cascade
import Files
import TestSupport
import Testing

@Suite struct ModelPlacesTests {
    @Test func whatPackagesShipLiesInACacheOfItsOwn() {
        func places(_ variables: [String: String]) -> ModelPlaces { ModelPlaces { variables[$0] } }
        #expect(places(["XDG_CACHE_HOME": "/c", "HOME": "/h"]).packageCache == "/c/cascade-adapt/models")
        #expect(places(["XDG_CACHE_HOME": "", "HOME": "/h"]).packageCache == "/h/.cache/cascade-adapt/models")
    }

    @Test func aModelOfSeveralFilesIsThereWhenAllAre() throws {
        let scratch = try Scratch()
        let places = ModelPlaces { $0 == "XDG_CACHE_HOME" ? scratch.path : nil }
        let model = try #require(KnownModel.named("mtcnn"))
        let folder = "\(places.packageCache)/mtcnn"
        try Folder.make(folder)
        for name in ["pnet.onnx", "rnet.onnx", "onet.onnx"] {
            #expect(places.path(of: model) == nil && model.absent(at: folder).contains(name))
            try writeAtomically("x", to: "\(folder)/\(name)")
        }
        #expect(places.path(of: model) == folder)
        // One file is named itself.
        let one = try #require(KnownModel.named("facenet"))
        try Folder.make("\(places.packageCache)/facenet")
        #expect(places.path(of: one) == nil)
        try writeAtomically("x", to: "\(places.packageCache)/facenet/graph_final.pb")
        #expect(places.path(of: one) == "\(places.packageCache)/facenet/graph_final.pb")
    }

    @Test func everyPackageIsPinned() {
        for model in KnownModel.all {
            guard case .package(let package) = model.source else { continue }
            for digest in [package.sha256] + package.files.map(\.sha256) {
                #expect(digest.count == 64 && digest.allSatisfy { $0.isHexDigit && !$0.isUppercase })
            }
            #expect(!package.files.isEmpty && Set(package.files.map(\.name)).count == package.files.count)
            let megabytes = package.files.reduce(0) { $0 + $1.bytes } / 1_000_000
            #expect(abs(megabytes - (model.megabytes ?? 0)) <= 1)
        }
    }
}
