import Files
import TestSupport
import Testing

@testable import Torch

/// Where libtorch is looked for, and which serves.
@Suite struct TorchSearchTests {
    private let scratch: Scratch

    init() throws { scratch = try Scratch() }

    /// A folder that looks like a libtorch.
    private func torch(_ name: String, version: String) throws -> String {
        let parts = version.split(separator: ".")
        try Folder.make(scratch["\(name)/lib"])
        try Folder.make(scratch["\(name)/include/torch/headeronly"])
        try writeAtomically("", to: scratch["\(name)/lib/libtorch_cpu.so"])
        let lines = zip(["MAJOR", "MINOR", "PATCH"], parts).map { "#define TORCH_VERSION_\($0) \($1)\n" }
        try writeAtomically(
            "#pragma once\n" + lines.joined(), to: scratch["\(name)/include/torch/headeronly/version.h"])
        return scratch[name]
    }

    private func search(
        _ variables: [String: String] = [:], python: String? = nil, program: String = "/opt/program"
    ) -> TorchSearch {
        TorchSearch(programFolder: program, variable: { variables[$0] }, python: { python })
    }

    private func engine(_ version: String = "2.13.0", _ searchPath: [String] = []) -> EngineFile {
        EngineFile(path: "/opt/lib/libCTorchEngine.so", builtWith: version, searchPath: searchPath)
    }

    @Test func `the order is LIBTORCH, the engine's own, python3, the installation's copy, the user's`() throws {
        let (named, own, python) = (
            try torch("named", version: "2.13.1"), try torch("own", version: "2.13.0"),
            try torch("python", version: "2.13.0")
        )
        let installed = try torch("prefix/lib/cascade-adapt/torch/torch", version: "2.13.0")
        let user = try torch("cache/cascade-adapt/torch/torch", version: "2.13.0")
        let caches = ["XDG_CACHE_HOME": scratch["cache"]]
        let program = scratch["prefix/bin"]
        let linked = engine("2.13.0", [scratch["gone/lib"], "\(own)/lib"])
        #expect(
            search(caches.merging(["LIBTORCH": named]) { $1 }, python: python, program: program).find(for: linked)
                .found?
                .path == named)
        let all = search(caches, python: python, program: program)
        #expect(all.find(for: linked).found?.path == own)
        #expect(all.find(for: engine()).found?.path == python)
        #expect(search(caches, program: program).find(for: engine()).found?.path == installed)
        #expect(search(caches, program: scratch["elsewhere"]).find(for: engine()).found?.path == user)
        let none = search(["HOME": scratch["home"]]).find(for: engine())
        #expect(none.found == nil && none.tried.map(\.name) == ["LIBTORCH", "python3", "private copy"])
        #expect(none.tried.last?.problem == "nothing in \(scratch["home/.cache/cascade-adapt/torch"])")
    }

    @Test func `python3 is asked only where nothing before it serves`() throws {
        let own = try torch("own", version: "2.13.0")
        let search = TorchSearch(programFolder: "/opt/bin", variable: { _ in nil }) {
            Issue.record("python3 was asked")
            return nil
        }
        #expect(search.find(for: engine("2.13.0", ["\(own)/lib"])).found?.path == own)
    }

    @Test func `another minor version is passed over with what is there and what is wanted`() throws {
        let (python, installed) = (
            try torch("python", version: "2.6.0"), try torch("prefix/lib/cascade-adapt/torch/torch", version: "2.13.2")
        )
        let found = search(python: python, program: scratch["prefix/bin"]).find(for: engine("2.13.0"))
        #expect(found.found?.path == installed)
        #expect(
            found.tried.contains {
                $0.name == "python3" && $0.problem == "\(python) is torch 2.6.0, the engine was built with 2.13.0"
            })
    }

    @Test func `LIBTORCH that does not serve hides nothing behind another`() throws {
        let python = try torch("python", version: "2.13.0")
        let wrong = search(["LIBTORCH": scratch["none"]], python: python).find(for: engine())
        #expect(wrong.found == nil && wrong.tried.count == 1)
        #expect(wrong.tried[0].problem == "nothing in \(scratch["none"])")
        // An empty text is none.
        #expect(search(["LIBTORCH": ""], python: python).find(for: engine()).found?.path == python)
    }

    @Test func `a version is told by headers, by Python's package, and by an archive`() throws {
        #expect(TorchFolder(try torch("headers", version: "2.13.0")).version == "2.13.0")
        for (name, text) in [
            ("version.py", "from typing import Optional\n\n__version__ = '2.4.1+cu121'\ndebug = False\n"),
            ("build-version", "2.4.1+cpu\n"),
        ] {
            try Folder.make(scratch["\(name)-folder"])
            try writeAtomically(text, to: scratch["\(name)-folder/\(name)"])
            #expect(TorchFolder(scratch["\(name)-folder"]).version == "2.4.1")
        }
        #expect(TorchFolder(scratch.path).version == nil)
    }

    @Test func `the engine's file says what it was built with and where it looks`() throws {
        let engine = try Engine.shared()
        let file = EngineFile(engine.path)
        #expect(file.builtWith == engine.builtWith)
        #expect(file.searchPath.contains { fileExists("\($0)/libtorch_cpu.so") }, "\(file.searchPath)")
        // The engine's own folder stands for $ORIGIN.
        #expect(!file.searchPath.contains { $0.contains("$") })
    }

    @Test func `a file that is no library says nothing`() throws {
        for (name, text) in [("empty", ""), ("text", "no library"), ("head", "\u{7F}ELF\u{2}\u{1}\u{1}")] {
            try writeAtomically(text, to: scratch[name])
            let file = EngineFile(scratch[name])
            #expect(file.builtWith == nil && file.searchPath == [])
        }
        #expect(EngineFile(scratch["none"]).builtWith == nil)
        // Cut off anywhere, it is read no further than it goes.
        let whole = try readFile(try Engine.shared().path)
        for count in [63, 64, 500, 4096, 100_000] {
            try writeAtomically(Array(whole.prefix(count)), to: scratch["cut"])
            #expect(EngineFile(scratch["cut"]).searchPath == [] || count > 64)
        }
    }

    @Test func `an engine without a libtorch that serves says what is wanted and what to do`() throws {
        let path = try Engine.shared().path
        let wrong = TorchSearch(
            programFolder: scratch["prefix/bin"], variable: { $0 == "LIBTORCH" ? scratch["none"] : nil },
            python: { nil })
        guard case .failure(let failure) = Engine.open(from: [path], wrong) else {
            Issue.record("it was opened")
            return
        }
        #expect(failure.what.contains("found no torch 2.") && failure.what.contains(scratch["none"]))
        #expect(failure.advice?.contains("unset it") == true)
    }
}
