import ArgumentParser
import Failures
import Torch

/// Where and how a command computes.
struct MachineOptions: ParsableArguments {
    @Option(help: "Where to compute: cpu, cuda or cuda:N.")
    var device = "cpu"

    @Option(help: "Number of threads for one operation (default: libtorch's choice).")
    var threads: Int?

    @Option(help: "The random seed. The same seed gives the same result on the same machine.")
    var seed: UInt64?

    @Flag(help: "No notes on standard error.")
    var quiet = false

    var output: Output { Output(isQuiet: quiet) }

    /// Sets the machine up.
    /// - Parameter localRank: which of several processes on this machine this is: `cuda` is then a GPU for each.
    /// - Returns: the device, which is there.
    func prepared(localRank: Int? = nil) throws -> Device {
        let named = device == "cuda" ? localRank.map { "cuda:\($0)" } : nil
        let device = try Device(parsing: named ?? device)
        try device.checkPresent()
        if let threads {
            guard (1...4096).contains(threads) else {
                throw Failure.input("--threads is out of range", expected: "1 to 4096", got: "\(threads)")
            }
            try Engine.shared().setThreads(threads)
        }
        return device
    }
}

/// A file with the weight it counts with, `FILE` or `FILE:WEIGHT`.
struct AdapterReference: ExpressibleByArgument {
    let path: String
    let strength: Double

    init?(argument: String) {
        // Only a number makes a weight, so that a path may hold colons.
        if let colon = argument.lastIndex(of: ":"), let weight = Double(argument[argument.index(after: colon)...]),
            weight.isFinite
        {
            path = String(argument[..<colon])
            strength = weight
        } else {
            path = argument
            strength = 1
        }
        if path.isEmpty { return nil }
    }
}
