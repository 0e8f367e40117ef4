import Synchronization
import Telemetry
import Testing

/// Keeps what a console writes.
private final class Recorder: Sendable {
    private let text = Mutex("")

    func console(isTerminal: Bool, columns: Int = 80, isQuiet: Bool = false) -> Console {
        Console(isTerminal: isTerminal, columns: columns, isQuiet: isQuiet) { more in
            self.text.withLock { $0 += more }
        }
    }

    var written: String { text.withLock { $0 } }

    /// Whatever a terminal shows last in the row of the status line.
    var row: String {
        written.split(separator: "\r\u{1B}[K", omittingEmptySubsequences: false).last.map(String.init) ?? ""
    }
}

@Suite struct Progress {
    @Test func `without a terminal there is one line per interval and one at the end`() {
        let recorder = Recorder()
        var time = 100.0
        var bar = ProgressBar(
            "lora", total: 100, console: recorder.console(isTerminal: false), interval: 10, now: { time })
        for step in 1...100 {
            time += 0.5
            bar.update(done: step, loss: 0.25)
        }
        bar.finish()
        let lines = recorder.written.split(separator: "\n")
        #expect(lines.count == 6)
        #expect(lines.first == "lora: 1/100 (1 %), 2 updates/s, loss 0.25, 0:50 left")
        #expect(lines[1] == "lora: 21/100 (21 %), 2 updates/s, loss 0.25, 0:40 left")
        #expect(lines.last == "lora: 100/100 (100 %), 2 updates/s, loss 0.25")
    }

    @Test func `on a terminal the bar is redrawn in its row, ten times a second at most`() {
        let recorder = Recorder()
        var time = 0.0
        var bar = ProgressBar(
            "lora", total: 4000, done: 1000, console: recorder.console(isTerminal: true), now: { time })
        for step in 1001...2000 {
            time += 0.01
            bar.update(done: step, loss: 0.0123456)
        }
        #expect(!recorder.written.contains("\n"))
        let drawings = recorder.written.split(separator: "\r\u{1B}[K").count
        #expect((90...101).contains(drawings))
        #expect(recorder.row.hasPrefix("lora [####"))
        #expect(recorder.row.contains("100 updates/s  loss 0.01235  0:20 left"))
        #expect(recorder.row.count < 80)
        bar.finish()
        #expect(recorder.row == "lora: 2000/4000 (50 %), 100 updates/s, loss 0.01235, 0:20 left\n")
    }

    @Test func `a narrow terminal gets a cut line`() {
        let recorder = Recorder()
        var bar = ProgressBar(
            "training", total: 10, console: recorder.console(isTerminal: true, columns: 12), now: { 0 })
        bar.update(done: 1)
        #expect(recorder.row == "training: 1")
    }

    @Test(arguments: [0, -3])
    func `nothing to do is done`(total: Int) {
        let recorder = Recorder()
        var bar = ProgressBar(
            "pack", total: total, unit: "files", console: recorder.console(isTerminal: false), now: { 0 })
        bar.update(done: 0, loss: .nan)
        bar.finish()
        #expect(recorder.written.hasSuffix("pack: 0/0 (100 %), loss nan\n"))
    }

    @Test func `a log line is put above the bar`() {
        let recorder = Recorder()
        let console = recorder.console(isTerminal: true)
        var bar = ProgressBar("x", total: 2, console: console, now: { 0 })
        bar.update(done: 1)
        let row = recorder.row
        console.log("saved")
        #expect(recorder.written.hasSuffix("\r\u{1B}[Ksaved\n" + row))
    }

    @Test func `quiet leaves warnings alone`() {
        for isTerminal in [true, false] {
            let recorder = Recorder()
            let console = recorder.console(isTerminal: isTerminal, isQuiet: true)
            var bar = ProgressBar("x", total: 2, console: console, now: { 0 })
            bar.update(done: 1)
            bar.finish()
            console.log("saved")
            console.warn("a damaged checkpoint is passed over")
            #expect(recorder.written == "warning: a damaged checkpoint is passed over\n")
        }
    }
}
