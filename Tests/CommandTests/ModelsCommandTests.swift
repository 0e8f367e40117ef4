import AdapterKit
@testable import CascadeAdapt
import Files
import Foundation
import JSON
import Models
import Settings
import TestSupport
import Testing
import Torch

/// `models list` and `models get` against a hub on loopback.
@Suite struct ModelsCommandTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// Runs in a folder of its own, without caches, against a hub.
    private func run(
        _ arguments: [String], hub: LoopbackServer? = nil, _ more: [String: String] = [:],
        meanwhile: (Process) -> Void = { _ in }
    ) throws -> Command.Outcome {
        let environment = [
            "HF_ENDPOINT": hub?.address ?? "http://127.0.0.1:1", "HF_HOME": scratch["cache"], "HF_HUB_CACHE": "",
            "HF_TOKEN": "hf_secret", "XDG_CACHE_HOME": scratch["caches"], "no_proxy": "127.0.0.1",
        ]
        return try Command.run(
            ["models"] + arguments, in: scratch.path, environment: environment.merging(more) { $1 },
            meanwhile: meanwhile)
    }

    private func content(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: scratch[name])))
    }

    @Test func `known models are listed with where they are`() throws {
        func models() throws -> [JSON] {
            let outcome = try run(["list", "--json"])
            return try #require(try JSON.parse(outcome.output, file: "list")["models"]?.arrayValue)
        }
        let all = try models()
        let names = Set(all.compactMap { $0["name"]?.stringValue })
        #expect(names.isSuperset(of: ["stage-c-bf16", "effnet", "clip-text"]))
        #expect(all.allSatisfy { $0["licence"]?.stringValue != nil })
        // The miniature comes with the program.
        #expect(all.filter { $0["here"]?.boolValue == true }.compactMap { $0["name"]?.stringValue } == ["miniature"])
        let snapshot = "cache/hub/models--stabilityai--stable-cascade/snapshots/abc"
        try FileManager.default.createDirectory(atPath: scratch[snapshot], withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: scratch["models"], withIntermediateDirectories: true)
        try scratch.write("x", to: "\(snapshot)/stage_c.safetensors")
        try scratch.write("x", to: "models/previewer.safetensors")
        let here = try models().filter { $0["here"]?.boolValue == true && $0["name"]?.stringValue != "miniature" }
        #expect(here.compactMap { $0["name"]?.stringValue } == ["previewer", "stage-c"])
        #expect(
            here.compactMap { $0["path"]?.stringValue }
                == ["models/previewer.safetensors", scratch["\(snapshot)/stage_c.safetensors"]])
        #expect(try run(["list"]).output.contains("here: models/previewer.safetensors"))
        // What is here already is not fetched again.
        #expect(try run(["get", "previewer"]).output.contains("is here already"))
    }

    @Test func `a filter from elsewhere brings its models into the list`() throws {
        let models = CascadeAdapt.plugIns.adding(filters: [ForeignFilter.self]).models
        let listed = try #require(ModelsList.json(of: models)["models"]?.arrayValue)
        let ours = try #require(ModelsList.json(of: CascadeAdapt.plugIns.models)["models"]?.arrayValue)
        #expect(listed.count == ours.count + 1 && listed.dropLast() == ours[...])
        #expect(listed.last?["get"]?.stringValue == "cascade-adapt models get ghost")
        #expect(listed.last?["source"]?.stringValue == "https://example.org/ghost.bin")
        #expect(listed.last?["here"]?.boolValue == false)
    }

    @Test func `a checkpoint is got by its name, and the token stays at home`() throws {
        let bytes = mixedBytes(200_000)
        let hub = try LoopbackServer { $0.reply(bytes) }
        let outcome = try run(["get", "effnet", "--json"], hub: hub)
        #expect(outcome.status == 0, "\(outcome)")
        #expect(hub.requests.map(\.path) == ["/stabilityai/stable-cascade/resolve/main/effnet_encoder.safetensors"])
        #expect(hub.requests[0].headers["authorization"] == nil)
        #expect(try content("models/effnet_encoder.safetensors") == bytes)
        let file = try #require(try JSON.parse(outcome.output, file: "get")["files"]?[0])
        #expect(file["bytes"]?.intValue == bytes.count && file["checked"]?.boolValue == false)
        #expect(file["sha256"]?.stringValue == (try SHA256.hex(ofFile: scratch["models/effnet_encoder.safetensors"])))
    }

    @Test(arguments: [true, false])
    func `a tower is got with its tokenizer, whole or in shards`(isSharded: Bool) throws {
        let files: [String: String] =
            [
                "config.json": "{}", "vocab.json": "{\"a\": 0}", "merges.txt": "a b\n",
            ].merging(
                isSharded
                    ? [
                        "model.safetensors.index.json": """
                        {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
                        """, "model-1.safetensors": "one", "model-2.safetensors": "two",
                    ] : ["model.safetensors": "whole"]
            ) { $1 }
        let hub = try LoopbackServer { request in
            let name = request.path.split(separator: "/").last.map(String.init) ?? ""
            guard let text = files[name], request.path.hasPrefix("/laion/CLIP-ViT-bigG-14-laion2B-39B-b160k/") else {
                return .init(404)
            }
            return request.reply(Array(text.utf8))
        }
        let outcome = try run(["get", "clip-text"], hub: hub)
        #expect(outcome.status == 0, "\(outcome)")
        let folder = "models/laion/CLIP-ViT-bigG-14-laion2B-39B-b160k"
        let names = try FileManager.default.contentsOfDirectory(atPath: scratch[folder])
        #expect(names.sorted() == files.keys.sorted())
        for (name, text) in files { #expect(try content("\(folder)/\(name)") == Array(text.utf8)) }
    }

    @Test func `a killed download is taken up where it stopped`() throws {
        let bytes = mixedBytes(900_000)
        let cut = 500_000
        let count = Counter()
        let hub = try LoopbackServer { request in
            var reply = request.reply(bytes)
            if count.next() == 0 { reply.stallAfter = cut }
            return reply
        }
        let part = scratch["models/stage_a.safetensors.part"]
        let killed = try run(["get", "stage-a"], hub: hub) { process in
            while process.isRunning, ((try? Data(contentsOf: URL(fileURLWithPath: part)).count) ?? 0) < cut {
                usleep(5000)
            }
            kill(process.processIdentifier, SIGKILL)
        }
        #expect(!killed.exited)
        #expect(try content("models/stage_a.safetensors.part") == Array(bytes.prefix(cut)))
        let resumed = try run(["get", "stage-a"], hub: hub)
        #expect(resumed.status == 0 && resumed.errors.contains("resumed at byte \(cut)"), "\(resumed)")
        #expect(hub.requests.map(\.firstByte) == [nil, cut])
        #expect(try content("models/stage_a.safetensors") == bytes)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["models"]) == ["stage_a.safetensors"])
    }

    @Test func `an interrupted download says how to go on`() throws {
        let hub = try LoopbackServer { request in
            var reply = request.reply(mixedBytes(1000))
            reply.stallAfter = 10
            return reply
        }
        let part = scratch["models/stage_a.safetensors.part"]
        let outcome = try run(["get", "stage-a"], hub: hub) { process in
            while process.isRunning, ((try? Data(contentsOf: URL(fileURLWithPath: part)).count) ?? 0) < 10 {
                usleep(5000)
            }
            kill(process.processIdentifier, SIGINT)
        }
        #expect(outcome.exited && outcome.status == 130 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.contains("the same command goes on"))
    }

    @Test func `what can't be got is told in a line, without secrets`() throws {
        let hub = try LoopbackServer { _ in .init(404) }
        func expect(_ arguments: [String], _ status: Int32, _ parts: String...) throws {
            let outcome = try run(["get"] + arguments, hub: hub)
            #expect(outcome.exited && outcome.status == status && outcome.output.isEmpty, "\(outcome)")
            for part in parts { #expect(outcome.errors.contains(part), "\(outcome)") }
            #expect(!outcome.errors.contains("secret"), "\(outcome)")
        }
        try expect(["stage-c-bf61"], 2, "did you mean `stage-c-bf16`?")
        try expect(["stage-c"], 2, "404")
        try expect(["some/model"], 2, "config.json", "some/model")
        try expect(["buffalo-l"], 2, "deepinsight/insightface")
        try expect(["ftp://u:secret@host/x"], 2, "ftp:")
        try expect(["\(hub.address)/x?token=secret"], 2, "404")
        try expect(["\(hub.address)/"], 2, "-o")
        try expect(["effnet", "--sha256", "12"], 2, "64")
        try expect(["clip-text", "--sha256", String(repeating: "0", count: 64)], 2, "one file")
        #expect(try FileManager.default.subpathsOfDirectory(atPath: scratch.path).allSatisfy { $0 == "models" })
    }

    @Test func `an address goes where it is told, and its hash is checked`() throws {
        let bytes = mixedBytes(3000)
        let server = try LoopbackServer { $0.reply(bytes) }
        let address = "\(server.address)/files/a%20b.bin"
        #expect(try run(["get", address, "-o", "sub/there.bin"]).status == 0)
        #expect(try content("sub/there.bin") == bytes)
        #expect(try run(["get", address, "-o", "sub/"]).status == 0)
        #expect(try content("sub/a b.bin") == bytes)
        let wrong = try run(["get", address, "-o", "wrong", "--sha256", String(repeating: "0", count: 64)])
        #expect(wrong.status == 2 && wrong.errors.contains("SHA-256"), "\(wrong)")
        #expect(!FileManager.default.fileExists(atPath: scratch["wrong"]))
        let right = try SHA256.hex(ofFile: scratch["sub/there.bin"])
        #expect(try run(["get", address, "--sha256", right]).output.contains("as expected"))
        #expect(try run(["get", address, "--sha256", String(repeating: "1", count: 64)]).status == 2)
    }
}

/// A filter of somebody else's, with a model of its own.
private struct ForeignFilter: ControlFilter {
    static let name = "ForeignFilter"
    static let parameters: [FilterParameter] = []
    static let models = [
        PublishedModel(
            name: "ghost", description: "what no image shows", source: .web("https://example.org/ghost.bin"),
            licence: "MIT")
    ]
    let channels = 3

    init(parameters: inout Fields) {}

    func callAsFunction(_ images: Tensor, generator: Generator) -> ControlCondition {
        ControlCondition(condition: images, preview: images)
    }
}
