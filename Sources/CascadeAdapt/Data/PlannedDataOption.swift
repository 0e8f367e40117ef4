import ArgumentParser
import Foundation
import Synchronization
import Telemetry
import Training

/// How much of the data a plan reads, and what is shown meanwhile.
struct PlannedDataOption: ParsableArguments {
    @Flag(help: "Read all shards of the dataset for the plan, not only 16.")
    var allData = false

    func apply(to options: inout RunOptions, _ console: Console) {
        options.readsAllData = allData
        let bar = SharedBar("data", unit: "shards", console: console)
        options.dataProgress = { bar.update($0, of: $1) }
    }
}

/// A bar over a job whose size is known once it begins; where there is no terminal, a job of some seconds is not worth a
/// line. Threads may share it.
final class SharedBar: Sendable {
    private let title: String
    private let unit: String
    private let console: Console
    private let start = DispatchTime.now()
    private let bar = Mutex<ProgressBar?>(nil)

    /// - Parameter unit: what is counted, in the plural.
    init(_ title: String, unit: String, console: Console) {
        (self.title, self.unit, self.console) = (title, unit, console)
    }

    /// Shows how much is done; all of it ends the bar.
    @Sendable func update(_ done: Int, of total: Int) {
        bar.withLock { bar in
            if bar == nil {
                let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
                guard console.isTerminal || seconds > 10 else { return }
                bar = ProgressBar(title, total: total, unit: unit, console: console) {
                    Double(DispatchTime.now().uptimeNanoseconds) / 1e9
                }
            }
            bar?.update(done: done)
            guard done == total else { return }
            bar?.finish()
            bar = nil
        }
    }
}
