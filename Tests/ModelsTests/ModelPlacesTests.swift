import Files
import Models
import TestSupport
import Testing

@Suite struct ModelPlacesTests {
    /// A model that a package ships in files of these names.
    private func model(_ name: String, _ files: [String]) -> PublishedModel {
        PublishedModel(
            name: name, description: "a model",
            source: .package(
                PythonPackage(
                    name: "package", version: "1.0", kind: .wheel, sha256: "",
                    files: files.map { .init(path: "package/\($0)", bytes: 1, sha256: "") })),
            licence: "MIT")
    }

    @Test func whatPackagesShipLiesInACacheOfItsOwn() {
        func places(_ variables: [String: String]) -> ModelPlaces { ModelPlaces { variables[$0] } }
        #expect(places(["XDG_CACHE_HOME": "/c", "HOME": "/h"]).packageCache == "/c/cascade-adapt/models")
        #expect(places(["XDG_CACHE_HOME": "", "HOME": "/h"]).packageCache == "/h/.cache/cascade-adapt/models")
    }

    @Test func aModelOfSeveralFilesIsThereWhenAllAre() throws {
        let scratch = try Scratch()
        let places = ModelPlaces { $0 == "XDG_CACHE_HOME" ? scratch.path : nil }
        let names = ["pnet.onnx", "rnet.onnx", "onet.onnx"]
        let several = model("several", names)
        let folder = "\(places.packageCache)/several"
        try Folder.make(folder)
        for name in names {
            #expect(places.path(of: several) == nil && several.absent(at: folder).contains(name))
            try writeAtomically("x", to: "\(folder)/\(name)")
        }
        #expect(places.path(of: several) == folder)
        // One file is named itself.
        let one = model("one", ["graph_final.pb"])
        try Folder.make("\(places.packageCache)/one")
        #expect(places.path(of: one) == nil)
        try writeAtomically("x", to: "\(places.packageCache)/one/graph_final.pb")
        #expect(places.path(of: one) == "\(places.packageCache)/one/graph_final.pb")
    }

    @Test(arguments: [
        ("models/stage_c.safetensors", "stage-c"), ("stage_c.safetensors", "stage-c"),
        ("mine/stage_c.safetensors", "stage-c -o mine/stage_c.safetensors"),
        ("openai/clip-vit-large-patch14", "clip-image"),
        ("models/openai/clip-vit-large-patch14/config.json", "openai/clip-vit-large-patch14"),
        ("some/tower", "some/tower"), ("mine.safetensors", nil), ("models/mine", nil),
    ])
    func theCommandIsToldByWhatAConfigurationNames(path: String, words: String?) {
        #expect(PublishedModel.command(toGet: path) == words.map { "cascade-adapt models get \($0)" })
    }
}
