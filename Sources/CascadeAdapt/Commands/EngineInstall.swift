import ArgumentParser
import Failures
import Files
import Glibc
import Models
import Telemetry
import Torch

/// `engine install`: a private copy of libtorch.
struct EngineInstall: Action {
    static let configuration = CommandConfiguration(
        commandName: "install", abstract: "Get a private copy of libtorch, where no other is to be had.",
        discussion: """
            The version that the engine was built with is downloaded by python3's pip, by pip's own settings, and put into \
            lib/cascade-adapt/torch of the installation where that can be written, else into cascade-adapt/torch of \
            XDG_CACHE_HOME or ~/.cache. Nothing of Python's is changed; to undo it, remove that folder. A libtorch that \
            LIBTORCH names, or that python3 has, goes before it.
            """)

    @Flag(help: "With all of CUDA's libraries; left out, the copy computes on the processor.")
    var cuda = false

    @Option(help: ArgumentHelp("The folder of the copy.", valueName: "folder"), completion: .directory)
    var to: String?

    @Flag(help: "No notes on standard error.")
    var quiet = false

    func run(in context: Context) throws {
        let candidates = Engine.candidates()
        guard let engine = candidates.first(where: fileExists).map({ EngineFile($0) }) else {
            throw Failure.run(
                "there is no engine library to get a libtorch for",
                expected: "one of \(candidates.joined(separator: ", "))",
                advice: "install the program again; in a checkout, `make setup build`")
        }
        guard let version = engine.builtWith else {
            throw Failure.run(
                "the engine library does not say which libtorch it was built with", at: .init(engine.path),
                advice: "install the program again; in a checkout, `make setup build`")
        }
        Interruption.install()
        let console = Console.standardError(isQuiet: quiet)
        let lines = FetchLines(console: console)
        let place = to ?? Self.place()
        let present = TorchFolder(place)
        if let problem = present.problem(with: version) {
            if present.isThere { console.log("\(problem): it is replaced") }
            let fetch = TorchFetch(isCancelled: { Interruption.isRequested }, report: { lines.show($0) })
            do {
                try fetch(version, to: place, withCUDA: cuda) { folder in
                    guard let problem = TorchFolder(folder).problem(with: version) else { return }
                    throw Failure.run("what pip brought is of no use", got: problem)
                }
            } catch is CancellationError {
                console.log("interrupted; nothing is left of it")
                throw ExitCode(130)
            }
        }
        // What it lacks of the system is told now, and not in the middle of a run.
        let opened = Engine.open(from: [engine.path], TorchSearch(variable: { $0 == "LIBTORCH" ? place : nil }))
        let running = try opened.get()
        try Output(isQuiet: quiet).result("\(place): torch \(running.version)")
    }

    /// Where the copy belongs: to the installation where that can be written, else to the user.
    private static func place() -> String {
        let search = TorchSearch()
        guard let copy = search.installedCopy else { return search.userCopy }
        var above = parentFolder(of: copy)
        while !Folder.isFolder(above) && above != "/" { above = parentFolder(of: above) }
        return access(above, W_OK) == 0 ? copy : search.userCopy
    }
}
