import Failures
import Glibc

enum FileProblem {
    /// A failure that carries the system's reason, read from `errno`.
    static func failure(_ what: String, _ path: String, blame: Failure.Blame) -> Failure {
        let text = "\(what) (\(String(cString: strerror(errno))))"
        return blame == .input ? .input(text, at: Failure.Place(path)) : .run(text, at: Failure.Place(path))
    }
}
