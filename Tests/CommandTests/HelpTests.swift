import Foundation
import JSON
import Testing

@Suite struct HelpTests {
    /// Every command, by its words.
    static let commands = [
        [], ["controlnet"], ["lora"], ["finetune"], ["generate"], ["vary"], ["reconstruct"], ["export"], ["merge"],
        ["extract"], ["resize"], ["inspect"], ["plan"], ["dataset"], ["dataset", "pack"], ["dataset", "inspect"],
        ["filter"], ["filter", "list"], ["filter", "apply"], ["filter", "sheet"], ["models"], ["models", "list"],
        ["models", "get"], ["models", "draw"], ["models", "quantise"], ["configs"],
        ["engine"], ["engine", "install"], ["doctor"], ["tokenize"], ["forward"],
    ]

    /// What `make help-texts` writes: a change of a help text is seen in the file that it changes.
    private static func kept(_ command: [String]) -> String {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Goldens/help")
        let name = (["cascade-adapt"] + command).joined(separator: "-")
        return folder.appendingPathComponent("\(name).txt").path
    }

    @Test(arguments: commands) func `help is what was agreed`(_ command: [String]) throws {
        let shown = try Command.run(command + ["--help"], environment: ["COLUMNS": "100"]).output
        #expect(try shown == String(contentsOfFile: Self.kept(command), encoding: .utf8), "see make help-texts")
    }

    @Test func `every command has its text, and no other`() throws {
        let folder = URL(fileURLWithPath: Self.kept([])).deletingLastPathComponent().path
        let files = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(Set(files.map { "\(folder)/\($0)" }) == Set(Self.commands.map(Self.kept)))
        let dump = try JSON.parse(expectSuccess(["--experimental-dump-help"]), file: "help")
        func commands(_ command: JSON, _ path: [String]) -> [[String]] {
            [path]
                + (command["subcommands"]?.arrayValue ?? []).flatMap {
                    commands($0, path + [$0["commandName"]?.stringValue ?? ""])
                }
        }
        let named = try #require(dump["command"]).self
        #expect(Set(commands(named, [])).subtracting([["help"]]) == Set(Self.commands))
    }

    @Test(arguments: commands) func `every command explains itself`(_ command: [String]) throws {
        let outcome = try Command.run(command + ["--help"])
        #expect(outcome.status == 0 && outcome.errors.isEmpty)
        #expect(outcome.output.hasPrefix("OVERVIEW: ") && outcome.output.contains("USAGE: cascade-adapt"))
        #expect(!outcome.output.contains("\n\n\n"))
    }

    @Test func `the version is a result`() throws {
        #expect(try expectSuccess(["--version"]).split(separator: ".").count == 3)
    }

    @Test(arguments: commands) func `an unknown option is the arguments' fault`(_ command: [String]) throws {
        try expectRefusal(command + ["--no-such-option"])
    }

    @Test func `unknown commands and values are the arguments' fault`() throws {
        try expectRefusal(["nonsense"], saying: "nonsense")
        try expectRefusal(["filter", "nonsense"], saying: "nonsense")
        try expectRefusal(["forward", "stage-x", "--inputs", "a", "--outputs", "b"], saying: "stage-x", "stage-c")
        try expectRefusal(["forward", "stage-c"], saying: "--inputs")
        try expectRefusal(["inspect"], saying: "files")
        try expectRefusal(["export", "a", "-o", "b", "--format", "xyz"], saying: "xyz", "native")
    }

    @Test func `a reader that goes away is no crash`() throws {
        let outcome = try Command.run(
            ["-c", "'\(Command.program)' --help | true; exit ${PIPESTATUS[0]}"], program: "/bin/bash")
        #expect(outcome.exited && outcome.status == 0 && outcome.errors.isEmpty, "\(outcome)")
    }

    @Test func `a result that can't be written is a failure of the run`() throws {
        let outcome = try Command.run(["-c", "'\(Command.program)' --help > /dev/full"], program: "/bin/bash")
        #expect(outcome.status == 1 && outcome.errors.hasPrefix("error: "), "\(outcome)")
    }
}
