import ArgumentParser
import Failures
import Files
import Glibc
import Telemetry

// cascade-miniature encoder, towers, collect: trains what a Stable Cascade is given ready-made, through the libraries'
// public interface, and lays the networks together once `cascade-adapt finetune` has trained Stage C.

// A reader that goes away early must not end a run.
signal(SIGPIPE, SIG_IGN)
UnfinishedFiles.removeWhenInterrupted()
do {
    var command = try MiniatureCommand.parseAsRoot()
    try command.run()
} catch let failure as Failure {
    let console = Console.standardError()
    console.log("error: \(failure)")
    if let advice = failure.advice { console.log(advice) }
    exit(failure.blame == .input ? 2 : 1)
} catch let code as ExitCode {
    exit(code.rawValue)
} catch {
    // Help is a result; everything else that the parser throws is the arguments' fault.
    if MiniatureCommand.exitCode(for: error) == .success { MiniatureCommand.exit(withError: error) }
    Console.standardError().log("error: \(MiniatureCommand.message(for: error))")
    exit(2)
}

/// The program without a subcommand.
struct MiniatureCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cascade-miniature",
        abstract: "Trains the small networks around the Stage C of a miniature Stable Cascade.",
        subcommands: [EncoderCommand.self, TowersCommand.self, CollectCommand.self])
}
