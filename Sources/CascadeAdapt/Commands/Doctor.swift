import ArgumentParser
import Failures
import JSON
import Torch

/// `doctor`: what was found on this machine, and what to do where something is missing.
struct Doctor: Action {
    static let configuration = CommandConfiguration(
        abstract: "Say what was found on this machine and what is missing.")

    @Flag(help: "Print JSON.")
    var json = false

    func run(in context: Context) throws {
        let engine = Engine.status()
        let machine = MachineReport(engine)
        if json { try Console().result(machine.json) } else { try machine.lines.forEach(Console().result) }
        _ = try engine.get()
    }
}
