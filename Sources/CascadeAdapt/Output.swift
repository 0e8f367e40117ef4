import Failures
import Files
import Glibc
import JSON

/// Results on standard output, everything else on standard error.
struct Output {
    /// Whether notes are left out; results and errors never are.
    var isQuiet = false

    /// Writes a line of the result, as ``ShownText`` has it. A reader that went away is no failure; a full disk is.
    func result(_ line: String) throws {
        try verbatim(ShownText.line(line) + "\n")
    }

    /// Writes a text as it is, for one that came with the program: nothing in it is secret.
    func verbatim(_ text: String) throws {
        if let error = Self.write(text, to: STDOUT_FILENO), error.code != EPIPE {
            throw error.failure("can't write the result", path: "standard output")
        }
    }

    /// Writes one JSON value on a line of its own.
    func result(_ json: JSON) throws { try result(json.withoutSecrets.text()) }

    /// Says something about the work; nobody has to be there to read it.
    func note(_ line: String) {
        if !isQuiet { _ = Self.write(ShownText.line(line) + "\n", to: STDERR_FILENO) }
    }

    /// Prints a failure, a line and at most one more of advice, and gives the exit status that belongs to it.
    static func report(_ failure: Failure) -> Int32 {
        var text = ShownText.line("error: \(failure)") + "\n"
        if let advice = failure.advice {
            text += ShownText.line(advice.split(separator: "\n").joined(separator: " ")) + "\n"
        }
        _ = write(text, to: STDERR_FILENO)
        return failure.blame == .input ? 2 : 1
    }

    private static func write(_ text: String, to descriptor: Int32) -> SystemError? {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                rest = rest.dropFirst(written)
            } else if errno != EINTR {
                return .current
            }
        }
        return nil
    }
}
