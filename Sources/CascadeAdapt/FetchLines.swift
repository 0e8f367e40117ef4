import Foundation
import Models
import Synchronization
import Telemetry

/// Shows on a console what getting models tells: lines, a status line, and for each file a bar.
final class FetchLines: Sendable {
    private let console: Console
    private let bars = Mutex<[String: ProgressBar]>([:])

    init(console: Console) { self.console = console }

    func show(_ event: FetchEvent) {
        switch event {
        case .note(let line): console.log(line)
        case .status(let line): console.show(status: line)
        case .bytes(let done, let total, let file):
            bars.withLock { $0[file, default: Self.bar(file, done, of: total, console)].update(done: done / megabyte) }
        case .finished(let file):
            bars.withLock { bars in
                bars[file]?.finish()
                bars[file] = nil
            }
        }
    }

    private static func bar(_ file: String, _ done: Int, of total: Int, _ console: Console) -> ProgressBar {
        ProgressBar(file, total: max(1, total / megabyte), done: done / megabyte, unit: "MB", console: console) {
            Double(DispatchTime.now().uptimeNanoseconds) / 1e9
        }
    }
}

private let megabyte = 1_000_000
