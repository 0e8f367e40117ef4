import Testing

@Suite struct HelpTests {
    static let commands = [
        [], ["controlnet"], ["lora"], ["finetune"], ["export"], ["merge"], ["extract"], ["resize"], ["inspect"],
        ["dataset"], ["dataset", "pack"], ["dataset", "inspect"],
        ["filter"], ["filter", "list"], ["filter", "apply"], ["models"], ["models", "draw"], ["doctor"], ["tokenize"],
        ["forward"],
    ]

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
