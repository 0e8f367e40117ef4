extension JSON {
    /// Which texts are documents.
    public enum Dialect: Sendable {
        /// RFC 8259 and what ``parse(_:file:as:maximumDepth:)`` says beside it: configurations, headers.
        case strict
        /// What Python's `json` writes and reads, for data that others made: `NaN`, `Infinity` and numbers too large for
        /// a double are numbers, half a surrogate pair is U+FFFD, and of a key given twice the last value holds.
        case python
    }
}
