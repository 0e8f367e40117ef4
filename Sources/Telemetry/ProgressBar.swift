/// How far a job has come: a bar redrawn in place on a terminal, otherwise one line per interval.
public struct ProgressBar {
    private let title: String
    private let unit: String
    private let total: Int
    private let console: Console
    private let interval: Double
    private let now: () -> Double

    private var done: Int
    private var loss: Double?
    private var lastDone: Int
    private var lastTime: Double
    private var lastShown: Double?
    private var shown: Int?
    private var secondsPerUnit: Double?

    /// - Parameters:
    ///   - done: What an earlier run has already done.
    ///   - unit: What is counted, in the plural.
    ///   - interval: Seconds between lines where there is no terminal.
    ///   - now: Seconds on a clock that only goes forward.
    public init(
        _ title: String, total: Int, done: Int = 0, unit: String = "updates", console: Console, interval: Double = 10,
        now: @escaping () -> Double
    ) {
        self.title = title
        self.unit = unit
        self.total = max(total, 0)
        self.console = console
        self.interval = interval
        self.now = now
        self.done = done
        lastDone = done
        lastTime = now()
    }

    /// Says how much is done in all, and the loss where there is one.
    public mutating func update(done: Int, loss: Double? = nil) {
        let time = now()
        if done > lastDone {
            let seconds = (time - lastTime) / Double(done - lastDone)
            // Recent updates count more, so that the time left follows a change of speed.
            secondsPerUnit = secondsPerUnit.map { 0.9 * $0 + 0.1 * seconds } ?? seconds
            (lastDone, lastTime) = (done, time)
        }
        self.done = done
        self.loss = loss
        let pause = console.isTerminal ? 0.1 : interval
        if lastShown.map({ time - $0 >= pause }) ?? true { show(at: time) }
    }

    /// Shows the last state for good, unless it stands there already.
    public mutating func finish() {
        console.show(status: "")
        if console.isTerminal || shown != done { console.log(line) }
    }

    private mutating func show(at time: Double) {
        (lastShown, shown) = (time, done)
        if console.isTerminal { console.show(status: bar) } else { console.log(line) }
    }

    private var fraction: Double { total > 0 ? min(max(Double(done) / Double(total), 0), 1) : 1 }

    /// Rate, loss and time left, as far as they are known.
    private var facts: [String] {
        var facts: [String] = []
        if let secondsPerUnit, secondsPerUnit > 0 { facts.append(significant(1 / secondsPerUnit) + " \(unit)/s") }
        if let loss { facts.append("loss " + significant(loss)) }
        if let secondsPerUnit, done < total {
            facts.append(duration(secondsPerUnit * Double(total - done)) + " left")
        }
        return facts
    }

    private var counts: String { "\(done)/\(total) (\(Int(fraction * 100)) %)" }

    private var line: String { "\(title): " + ([counts] + facts).joined(separator: ", ") }

    /// The line with a bar in the space that is left; cut where there is none.
    private var bar: String {
        let words = ([counts] + facts).joined(separator: "  ")
        let cells = min(console.columns - title.count - words.count - 6, 40)
        guard cells >= 4 else { return String(line.prefix(max(console.columns - 1, 0))) }
        let filled = Int(fraction * Double(cells))
        let drawn = String(repeating: "#", count: filled) + String(repeating: "-", count: cells - filled)
        return "\(title) [\(drawn)] \(words)"
    }
}
