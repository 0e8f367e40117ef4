import AdapterKit
import ArgumentParser
import Failures
import Files
import Glibc
import Training

/// The command `cascade-adapt`, for a program of two lines.
public enum CascadeAdapt {
    /// Runs the command that the process's arguments name, and exits.
    /// - Parameters:
    ///   - filters: further filters, which take the place of ours of the same name.
    ///   - adapters: further kinds of adapter, likewise.
    public static func main(
        adding filters: [any ControlFilter.Type] = [], adapters: [any AdapterKind] = []
    ) -> Never {
        // A reader that goes away early must not end a run: writing then fails, and is dealt with there.
        signal(SIGPIPE, SIG_IGN)
        // Whoever has more to save than files that are half written listens to signals itself.
        UnfinishedFiles.removeWhenInterrupted()
        exit(status(of: Array(CommandLine.arguments.dropFirst()), plugIns.adding(filters: filters, adapters: adapters)))
    }

    private static func status(of arguments: [String], _ plugIns: PlugIns) -> Int32 {
        do {
            var command = try RootCommand.parseAsRoot(FilterArgument.joined(arguments))
            if let action = command as? any Action {
                try action.run(in: Context(plugIns: plugIns))
            } else {
                try command.run()
            }
            return 0
        } catch let failure as Failure {
            return Output.report(failure)
        } catch let code as ExitCode {
            return code.rawValue
        } catch {
            return status(ofParsing: error)
        }
    }

    /// Help and version are results; everything else that the parser throws is the arguments' fault.
    private static func status(ofParsing error: any Error) -> Int32 {
        do {
            guard RootCommand.exitCode(for: error) != .success else {
                for line in RootCommand.fullMessage(for: error).split(separator: "\n", omittingEmptySubsequences: false)
                {
                    try Output().result(String(line))
                }
                return 0
            }
            let lines = RootCommand.fullMessage(for: error).split(separator: "\n")
            let advice = lines.last { $0.contains("for more information") }
            throw Failure.input(
                onOneLine(RootCommand.message(for: error)), advice: advice.map { String($0.drop { $0 == " " }) })
        } catch let failure as Failure {
            return Output.report(failure)
        } catch {
            return Output.report(.run("\(error)"))
        }
    }
}

/// The parser's words on one line; the values it lists, one a line behind dashes, become a list in the sentence.
private func onOneLine(_ message: String) -> String {
    let lines = message.split(separator: "\n").map { $0.drop { " -".contains($0) } }
    return ([lines.first.map(String.init) ?? ""] + [lines.dropFirst().joined(separator: ", ")])
        .filter { !$0.isEmpty }.joined(separator: " ")
}

/// The command without a subcommand.
struct RootCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cascade-adapt",
        abstract: "Trains and uses adapters for Stable Cascade: ControlNets, LoRA layers, learned tokens.",
        version: programVersion,
        groupedSubcommands: [
            CommandGroup(name: "Train", subcommands: Recipes.all.map { $0.command }),
            CommandGroup(name: "Use", subcommands: [Generate.self, Vary.self, Reconstruct.self]),
            CommandGroup(
                name: "Adapters",
                subcommands: [Export.self, MergeCommand.self, Extract.self, Resize.self, Inspect.self, Plan.self]),
            CommandGroup(
                name: "Data and models",
                subcommands: [Dataset.self, Filter.self, Models.self, Configs.self, EngineCommand.self]),
            CommandGroup(
                name: "Checks", subcommands: [Doctor.self, Tokenize.self, Forward.self]),
        ])
}
