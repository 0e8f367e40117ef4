import Foundation
import Images
import JSON
import TestSupport
import Testing
import Torch
import Training

/// The program as `make install` puts it: `bin`, `lib` and `share` under a prefix, far from the checkout.
@Suite struct InstalledProgramTests {
    private let scratch: Scratch

    private static let checkout = String(#filePath.dropLast("/Tests/CommandTests/InstalledProgramTests.swift".count))

    init() throws {
        scratch = try Scratch()
        let files = FileManager.default
        for folder in ["prefix/bin", "prefix/lib", "prefix/share/cascade-adapt/models", "work", "cache"] {
            try files.createDirectory(atPath: scratch[folder], withIntermediateDirectories: true)
        }
        try files.copyItem(atPath: Command.program, toPath: scratch["prefix/bin/cascade-adapt"])
        try files.createSymbolicLink(
            atPath: scratch["prefix/lib/libCTorchEngine.so"], withDestinationPath: try Engine.shared().path)
        for part in ["configs", "examples", "models/clip-tokenizer"] {
            try files.createSymbolicLink(
                atPath: scratch["prefix/share/cascade-adapt/\(part)"], withDestinationPath: "\(Self.checkout)/\(part)")
        }
    }

    private func run(
        _ arguments: [String], in folder: String? = nil, environment: [String: String] = [:]
    ) throws -> Command.Outcome {
        try Command.run(
            arguments, in: folder ?? scratch["work"],
            environment: ["XDG_CACHE_HOME": scratch["cache"], "HF_HOME": scratch["none"]].merging(environment) { $1 },
            program: scratch["prefix/bin/cascade-adapt"])
    }

    /// A script in the place of python3, which does as it or pip might.
    private func python(_ script: String) throws -> [String: String] {
        try FileManager.default.createDirectory(atPath: scratch["python"], withIntermediateDirectories: true)
        try scratch.write("#!/bin/sh\n\(script)\n", to: "python/python3")
        chmod(scratch["python/python3"], 0o755)
        return ["PATH": "\(scratch["python"]):/usr/bin:/bin"]
    }

    @Test func `doctor finds all that came, and nothing is missing`() throws {
        let outcome = try run(["doctor", "--json"])
        #expect(outcome.status == 0, "\(outcome)")
        let report = try JSON.parse(outcome.output, file: "report")
        #expect(report["missing"]?.arrayValue?.isEmpty == true)
        let shared = scratch["prefix/share/cascade-adapt"]
        #expect(report["shipped"]?["folder"]?.stringValue == shared)
        #expect(report["shipped"]?["miniature"]?.stringValue == "\(shared)/examples/miniature")
        #expect(report["shipped"]?["vocabulary"]?.stringValue == "\(shared)/models/clip-tokenizer")
        #expect(try run(["doctor"]).output.contains("nothing is missing"))
    }

    @Test func `a shipped configuration is planned by its name from a folder that can't be written`() throws {
        for name in ["fernando", "miniature/fernando", "examples/miniature/fernando.yaml"] {
            let outcome = try run(
                ["plan", name, "--set", "webdataset_path=\(try TinyWorld.shared().data)", "--json"], in: "/")
            #expect(outcome.status == 0, "\(outcome)")
            let plan = try JSON.parse(outcome.output, file: "plan")
            #expect(plan["missing"]?.arrayValue?.isEmpty ?? true, "\(plan)")
            #expect(plan["parameters"]?["trainable"]?.intValue ?? 0 > 0)
        }
    }

    @Test func `a LoRA is trained on the miniature by a shipped configuration`() throws {
        try FileManager.default.createDirectory(atPath: scratch["images"], withIntermediateDirectories: true)
        for number in 0..<2 {
            let image = Image(
                width: 96, height: 96, pixels: (0..<96 * 96 * 3).map { UInt8(truncatingIfNeeded: $0 * (number + 1)) })
            try image.write(to: scratch["images/\(number).png"])
            try scratch.write("[fernando] on a blue background", to: "images/\(number).txt")
        }
        let changes = [
            "webdataset_path": scratch["images"], "checkpoint_path": scratch["runs"], "output_path": scratch["output"],
            "batch_size": "2", "preview_steps": "2",
        ]
        let outcome = try run(
            ["lora", "fernando", "--steps", "1"] + changes.flatMap { ["--set", "\($0.key)=\($0.value)"] }, in: "/")
        #expect(outcome.status == 0, "\(outcome)")
        #expect(FileManager.default.fileExists(atPath: scratch["runs/fernando/lora.safetensors"]))
    }

    @Test func `configs lists what came, and prints one`() throws {
        let list = try run(["configs"])
        #expect(list.output.contains("training/lora_c_tiny") && list.output.contains("miniature/fernando"), "\(list)")
        let printed = try run(["configs", "lora_c_tiny"])
        let file = try String(contentsOfFile: "\(Self.checkout)/configs/training/lora_c_tiny.yaml", encoding: .utf8)
        #expect(printed.output == file)
        let wrong = try run(["configs", "lora_c_tini"])
        #expect(wrong.status == 2 && wrong.errors.contains("did you mean `lora_c_tiny`?"), "\(wrong)")
        let none = try run(["lora", "no_such"])
        #expect(none.status != 0 && none.errors.contains("`cascade-adapt configs` lists"), "\(none)")
    }

    @Test func `a LIBTORCH that does not serve is told, with what is wanted`() throws {
        let outcome = try run(["doctor"], environment: ["LIBTORCH": scratch["none"]])
        #expect(outcome.status == 1 && outcome.errorLines.count == 2, "\(outcome)")
        #expect(
            outcome.errors.contains("LIBTORCH: nothing in \(scratch["none"])") && outcome.errors.contains("unset it"))
        #expect(outcome.output.contains("missing:"))
    }

    @Test func `engine install puts pip's torch under the prefix`() throws {
        let torch = TorchSearch(python: { nil }).find(for: EngineFile(try Engine.shared().path)).found
        let folder = try #require(torch?.path)
        let environment = try python(
            """
            while [ $# -gt 0 ]; do
                case $1 in --target) target=$2 ;; torch==*) echo "$1" >\(scratch["asked"]) ;; esac
                shift
            done
            ln -s \(folder) "$target/torch"
            """)
        let outcome = try run(["engine", "install", "--quiet"], environment: environment)
        let place = scratch["prefix/lib/cascade-adapt/torch"]
        #expect(outcome.status == 0 && outcome.output.hasPrefix("\(place): torch 2."), "\(outcome)")
        let asked = try String(contentsOfFile: scratch["asked"], encoding: .utf8)
        #expect(asked == "torch==\(try Engine.shared().builtWith)\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["prefix/lib/cascade-adapt"]) == ["torch"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: place) == ["torch"])
        // It is there now: python3 is not asked again.
        let again = try run(["engine", "install"], environment: try python("exit 3"))
        #expect(again.status == 0 && again.output == outcome.output, "\(again)")
    }

    @Test(arguments: [
        ("echo 'ERROR: No matching distribution found for torch'; exit 1", "No matching distribution found for torch"),
        ("echo 'No module named pip'; exit 1", "No module named pip"),
        // A package that is of no use.
        ("while [ \"$1\" != --target ]; do shift; done; mkdir -p \"$2/torch\"", "has no lib/libtorch_cpu.so"),
    ])
    func `engine install that fails leaves nothing`(script: String, words: String) throws {
        let outcome = try run(["engine", "install", "--quiet"], environment: try python(script))
        #expect(outcome.exited && outcome.status == 1 && outcome.errorLines.count <= 2, "\(outcome)")
        #expect(outcome.errors.contains(words), "\(outcome)")
        let left = try FileManager.default.contentsOfDirectory(atPath: scratch["prefix/lib/cascade-adapt"])
        #expect(left.isEmpty, "\(left)")
    }

    @Test func `the changelog has the version's section`() throws {
        let changelog = try String(contentsOfFile: "\(Self.checkout)/CHANGELOG.md", encoding: .utf8)
        #expect(changelog.contains("\n## \(programVersion)\n"))
        #expect(try run(["--version"]).output == "\(programVersion)\n")
    }
}
