import Foundation
import Synchronization
import Telemetry

/// How many of something were dealt with so far, where nobody knows how many there are. Threads may share it.
final class CountProgress: Sendable {
    private let unit: String
    private let console: Console
    private let start = DispatchTime.now()
    private let last = Mutex(0.0)

    /// - Parameter unit: what is counted, in the plural.
    init(_ unit: String, console: Console) {
        self.unit = unit
        self.console = console
    }

    /// Shows the count: in place on a terminal, otherwise a line every ten seconds.
    @Sendable func update(_ count: Int) {
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
        let isDue = last.withLock { last in
            guard seconds - last >= (console.isTerminal ? 0.1 : 10) else { return false }
            last = seconds
            return true
        }
        guard isDue else { return }
        let line = "\(count) \(unit), \(Int(Double(count) / seconds)) a second"
        if console.isTerminal { console.show(status: line) } else { console.log(line) }
    }

    /// Takes the line off the terminal.
    func finish() { console.show(status: "") }
}
