import AdapterKit
import ArgumentParser

/// A command that does something, as against one that only groups others.
protocol Action: ParsableCommand {
    /// - Throws: a `Failure`, whose blame decides the exit status.
    func run(in context: Context) throws
}

/// What a command is given beside its arguments.
struct Context {
    /// The filters and adapters of this program.
    let plugIns: PlugIns
}
