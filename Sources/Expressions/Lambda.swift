import Failures

/// A condition on the JSON of a sample, as the official configurations write it: `lambda w, h: w >= 768 and h >= 768`.
///
/// The language is the part of Python's expressions that such conditions use, with Python's meaning: comparisons
/// (chained too), `and`, `or`, `not`, `in`, `is None`, `is True`, `is False`, arithmetic, `a if c else b`, numbers, strings, lists and tuples, `True`,
/// `False`, `None`, the functions `len`, `abs`, `min` and `max`, and the methods `lower`, `upper`, `strip`,
/// `startswith` and `endswith` of strings. Nothing else parses, so nothing can be run that is not listed here.
///
/// Time and memory are bounded: there are no loops, texts and depth have limits, and no value grows past
/// ``Value/sizeLimit``.
public struct Lambda: Sendable {
    /// The text it was read from.
    public let text: String
    /// Names between `lambda` and the colon, in the order in which arguments are given.
    public let parameters: [String]
    private let body: Expression

    /// The longest text that is read, in characters.
    public static let textLimit = 4096

    /// Reads a lambda.
    /// - Parameter place: where the text stands, for the message.
    /// - Throws: a failure of the input that points at the character from which on the text is not understood.
    public init(_ text: String, at place: Failure.Place? = nil) throws {
        self.text = text
        do {
            guard text.unicodeScalars.count <= Self.textLimit else {
                throw Problem(Self.textLimit, "the text ends within \(Self.textLimit) characters")
            }
            var parser = try Parser(text)
            (parameters, body) = try parser.lambda()
        } catch let problem as Problem {
            throw Failure.input(
                "the expression cannot be read at character \(problem.offset + 1)", at: place,
                expected: problem.what, got: Self.excerpt(text, from: problem.offset))
        }
    }

    /// The value for arguments, one for each parameter.
    /// - Throws: a failure of the input that says what Python would have raised an exception for.
    public func callAsFunction(_ arguments: [Value]) throws -> Value {
        precondition(arguments.count == parameters.count, "one argument for each parameter")
        do {
            return try body.value(arguments)
        } catch let problem as Problem {
            throw Failure.input(
                "the expression fails at character \(problem.offset + 1): \(problem.what)",
                got: Self.excerpt(text, from: problem.offset))
        }
    }

    private static func excerpt(_ text: String, from offset: Int) -> String {
        let rest = text.unicodeScalars.dropFirst(offset)
        if rest.isEmpty { return "the end of `\(text.prefix(60))`" }
        return "`\(String(String.UnicodeScalarView(rest.prefix(24))))`" + (rest.count > 24 ? "…" : "")
    }
}

/// What is wrong with an expression, and the scalar of its text at which it shows.
struct Problem: Error {
    let offset: Int
    let what: String

    init(_ offset: Int, _ what: String) {
        self.offset = offset
        self.what = what
    }
}
