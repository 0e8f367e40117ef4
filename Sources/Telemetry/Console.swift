import Failures
import Glibc
import Synchronization

/// Lines for a person on standard error: logs, warnings, and at most one status line that is redrawn in place. All are
/// as ``ShownText`` has them.
public final class Console: Sendable {
    /// Whether a status line can be redrawn.
    public let isTerminal: Bool
    /// Characters in a row.
    public let columns: Int
    /// Whether ``log(_:)`` and the status line write nothing; warnings are written always.
    public let isQuiet: Bool

    private let write: @Sendable (String) -> Void
    private let status = Mutex("")

    /// - Parameter write: Takes text as it is to appear, line ends included.
    public init(isTerminal: Bool, columns: Int = 80, isQuiet: Bool = false, write: @escaping @Sendable (String) -> Void)
    {
        self.isTerminal = isTerminal
        self.columns = columns
        self.isQuiet = isQuiet
        self.write = write
    }

    /// Standard error, with the width it has now.
    public static func standardError(isQuiet: Bool = false) -> Console {
        var size = winsize()
        let isTerminal = isatty(STDERR_FILENO) == 1
        let isSized = isTerminal && ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return Console(isTerminal: isTerminal, columns: isSized ? Int(size.ws_col) : 80, isQuiet: isQuiet) { text in
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return }  // nobody reads: what is written here is never worth a failure
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Writes a line, unless quiet.
    public func log(_ line: String) {
        if !isQuiet { put(line) }
    }

    /// Writes a line that begins with `warning:`, quiet or not.
    public func warn(_ line: String) { put("warning: " + line) }

    /// Redraws the status line; the empty one clears it. Nothing happens where it cannot be redrawn, or if quiet.
    public func show(status line: String) {
        guard isTerminal, !isQuiet else { return }
        status.withLock { status in
            status = ShownText.line(line)
            write(Self.clear + status)
        }
    }

    private func put(_ line: String) {
        status.withLock { status in
            write((status.isEmpty ? "" : Self.clear) + ShownText.line(line) + "\n" + status)
        }
    }

    /// Back to the first column, and nothing in the row.
    private static let clear = "\r\u{1B}[K"
}
