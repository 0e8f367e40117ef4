import ArgumentParser
import Torch

/// `doctor`: what was found on this machine, and what to do where something is missing.
struct Doctor: Action {
    static let configuration = CommandConfiguration(
        abstract: "Check this machine: libraries, devices, models.")

    @Flag(help: "Print JSON.")
    var json = false

    func run(in context: Context) throws {
        let machine = MachineReport()
        if json { try Output().result(machine.json) } else { try machine.lines.forEach(Output().result) }
        // Without libtorch nothing can be trained; the failure says what to do.
        _ = try Engine.shared()
    }
}
