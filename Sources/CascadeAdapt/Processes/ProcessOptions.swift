import ArgumentParser
import Failures
import Foundation
import Telemetry
import Torch

/// How many processes a command is.
struct ProcessOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Number of processes to train with on this machine; auto is one for each GPU.",
            discussion: "Not needed under torchrun or srun, which set it in the environment.", valueName: "n"))
    var processes: String?

    @Option(
        help: ArgumentHelp(
            "How often to restart from the last checkpoint with the remaining processes when one ends.",
            valueName: "n"))
    var restarts = 0

    @Option(
        help: ArgumentHelp(
            "How long processes wait for each other, also while the first one previews and saves.",
            valueName: "seconds"))
    var processTimeout = 1800.0

    /// The number of processes to start; nil where none are asked for, or this is one of them.
    func number() throws -> Int? {
        guard let processes else { return nil }
        if processes == "auto" { return max(1, try Engine.shared().cudaDevices) }
        guard let number = Int(processes), (1...1024).contains(number) else {
            throw Failure.input("--processes is out of range", expected: "1 to 1024, or auto", got: processes)
        }
        return number
    }

    /// Starts the processes that are asked for, and ends with their status. Returns where there are none to start.
    func start() throws {
        let environment = ProcessInfo.processInfo.environment
        LocalProcesses.followLauncher(environment)
        guard restarts >= 0, restarts == 0 || processes != nil else {
            throw Failure.input("--restarts is for --processes", expected: "0 or more, with --processes N")
        }
        guard let number = try number(), number > 1 else { return }
        guard try ProcessGroup.Place(environment: environment) == nil else {
            throw Failure.input(
                "--processes and the environment both say how many processes there are",
                expected: "one of them", got: "--processes \(number), and WORLD_SIZE or SLURM_STEP_NUM_TASKS")
        }
        var arguments = Array(CommandLine.arguments.dropFirst())
        if let place = arguments.firstIndex(of: "--processes") {
            arguments.removeSubrange(place...min(place + 1, arguments.count - 1))
        }
        arguments.removeAll { $0.hasPrefix("--processes=") }
        arguments += ["--restarts", "0"]
        let console = Console.standardError()
        var count = number
        for restart in 0...restarts {
            let outcome = try LocalProcesses(count: count, arguments: arguments).run()
            // An input that is at fault stays so, and a run that was told to end has ended.
            guard outcome.killed > 0 || outcome.status == 1, restart < restarts else { throw ExitCode(outcome.status) }
            count = max(1, count - outcome.killed)
            console.warn("restart \(restart + 1) of \(restarts), with \(count) of \(number) processes")
        }
    }

    /// Meets the other processes that the environment tells of.
    /// - Returns: nil where there are none.
    func group() throws -> ProcessGroup? {
        guard (1...86400).contains(processTimeout) else {
            throw Failure.input(
                "--process-timeout is out of range", expected: "1 to 86400 seconds", got: "\(processTimeout)")
        }
        return try ProcessGroup.Place(environment: ProcessInfo.processInfo.environment).map {
            try ProcessGroup($0, patience: processTimeout)
        }
    }
}
