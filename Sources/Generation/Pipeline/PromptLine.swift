import Failures
import Files

/// One line of a file of prompts, as kohya's scripts write them: the prompt, then `--n` negative, `--w` and `--h` sides,
/// `--d` seed, `--l` guidance, `--s` steps.
public struct PromptLine: Equatable, Sendable {
    /// What stands before the first option.
    public var prompt: String
    /// `--n`, which guidance leads away from; nil leaves it to the command.
    public var negative: String?
    /// `--w`, in pixels.
    public var width: Int?
    /// `--h`, in pixels.
    public var height: Int?
    /// `--d`, which decides all that is drawn for the image.
    public var seed: UInt64?
    /// `--l`, the strength of Stage C's guidance.
    public var guidance: Double?
    /// `--s`, the steps of Stage C, from 1 to 1000.
    public var steps: Int?

    /// The prompts of a file; empty lines and those that begin with # are passed over.
    /// - Throws: a failure of the input that names the line.
    public static func read(_ path: String) throws -> [PromptLine] {
        let bytes = try readFile(path, limit: 64 << 20)
        guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw Failure.input("not a text file of prompts", at: .init(path), expected: "UTF-8, a prompt on each line")
        }
        let lines = try text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated()
            .compactMap { number, line -> PromptLine? in
                let line = trimmed(line)
                if line.isEmpty || line.hasPrefix("#") { return nil }
                return try PromptLine(line, at: .init(path, line: number + 1))
            }
        if lines.isEmpty { throw Failure.input("there is no prompt in the file", at: .init(path)) }
        return lines
    }

    /// Reads a line.
    /// - Parameter place: of the line, for failures.
    /// - Throws: a failure of the input where it has no prompt, an unknown option or a value that can't be read.
    public init(_ line: String, at place: Failure.Place) throws {
        var parts: [Substring] = []
        var rest = Substring(line)
        while let range = rest.firstRange(of: " --") {
            parts.append(rest[..<range.lowerBound])
            rest = rest[range.upperBound...]
        }
        parts.append(rest)
        prompt = trimmed(parts[0])
        if prompt.isEmpty || prompt.hasPrefix("--") {
            throw Failure.input("a line without a prompt", at: place, expected: "the prompt before its options")
        }
        for part in parts.dropFirst() {
            let name = part.prefix { $0 != " " }
            let value = trimmed(part.dropFirst(name.count))
            func number<Number>(_ expected: String, _ read: (String) -> Number?) throws -> Number {
                guard let number = read(value) else {
                    throw Failure.input("--\(name) cannot be read", at: place, expected: expected, got: value)
                }
                return number
            }
            switch name {
            case "n": negative = value
            case "w": width = try number("pixels") { Int($0) }
            case "h": height = try number("pixels") { Int($0) }
            case "d": seed = try number("a seed") { UInt64($0) }
            case "l": guidance = try number("a number") { Double($0).flatMap { $0.isFinite ? $0 : nil } }
            case "s": steps = try number("1 to 1000") { Int($0).flatMap { (1...1000).contains($0) ? $0 : nil } }
            default:
                throw Failure.input(
                    "an option that a prompt's line has not", at: place, expected: "--n, --w, --h, --d, --l or --s",
                    got: "--\(name)")
            }
        }
    }
}

private func trimmed(_ text: some StringProtocol) -> String {
    let start = text.drop(while: \.isWhitespace)
    return String(start.reversed().drop(while: \.isWhitespace).reversed())
}
