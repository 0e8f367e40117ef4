/// What went wrong, told so that a person can mend it: what, where, what was expected, what came, what to do next.
///
/// Every library throws this one type. The command prints it as one line, `error: FILE:LINE:COLUMN: what,
/// expected …, got …`, with at most one line of advice, and exits 2 where the input is at fault, 1 where the run is.
public struct Failure: Error, Equatable, Sendable {
    /// Who has to act: whoever gave the input, or whoever runs the machine.
    public enum Blame: Sendable { case input, run }

    /// A place in a file; line and column count from 1.
    public struct Place: Equatable, Sendable {
        /// A path, or whatever else tells a person where the text came from.
        public var file: String
        /// Nil where the file as a whole is meant.
        public var line: Int?
        /// In the line; nil where all of it is meant.
        public var column: Int?

        /// All of a file, unless the arguments say which line.
        public init(_ file: String, line: Int? = nil, column: Int? = nil) {
            self.file = file
            self.line = line
            self.column = column
        }
    }

    /// Who has to act, which decides the command's exit status.
    public var blame: Blame
    /// What is wrong, in a few words and without a full stop.
    public var what: String
    /// Where in the input it is; nil where no file is at fault.
    public var place: Place?
    /// What would have been right, in words or as a value.
    public var expected: String?
    /// What was there instead; it may hold secrets, see ``ShownText``.
    public var got: String?
    /// What a person can do next, as one sentence; on a line of its own.
    public var advice: String?
    /// Whether it may pass by itself, as a network that is down does: it tells nothing of what was asked for.
    public var mayPass = false

    /// Whether it is that there was no memory to be had.
    public var lacksMemory = false

    /// The same as one that may pass by itself.
    public var passing: Failure {
        var failure = self
        failure.mayPass = true
        return failure
    }

    /// The input (arguments, configuration, data, a file's content) is at fault: exit status 2.
    public static func input(
        _ what: String, at place: Place? = nil, expected: String? = nil, got: String? = nil, advice: String? = nil
    ) -> Failure {
        Failure(blame: .input, what: what, place: place, expected: expected, got: got, advice: advice)
    }

    /// The run failed otherwise: exit status 1.
    public static func run(
        _ what: String, at place: Place? = nil, expected: String? = nil, got: String? = nil, advice: String? = nil
    ) -> Failure {
        Failure(blame: .run, what: what, place: place, expected: expected, got: got, advice: advice)
    }
}

extension Failure.Place: CustomStringConvertible {
    /// `FILE`, `FILE:LINE` or `FILE:LINE:COLUMN`.
    public var description: String {
        [file, line.map(String.init), column.map(String.init)].compactMap(\.self).joined(separator: ":")
    }
}

extension Failure: CustomStringConvertible {
    /// The failure without its advice, on one line.
    public var description: String {
        var text = place.map { "\($0): " } ?? ""
        text += what
        if let expected { text += ", expected \(expected)" }
        if let got { text += ", got \(got)" }
        return String(text.map { $0.isNewline ? " " : $0 })
    }
}
