import Failures
import Glibc

/// What a call of the C library said, as `errno` tells it.
public struct SystemError: Equatable, Sendable {
    /// A value of `errno`, such as `ENOENT`.
    public var code: Int32

    /// The present `errno`; take it right after the call that failed.
    public static var current: SystemError { SystemError(code: errno) }

    /// - Parameter code: as a call returned it, where that leaves `errno` alone.
    public init(code: Int32) { self.code = code }

    /// The C library's sentence.
    public var message: String { String(cString: strerror(code)) }

    /// A failure about `path`. A path that can't be is the input's fault; a full or failing disk is the run's.
    public func failure(_ what: String, path: String) -> Failure {
        switch code {
        case ENOSPC, EDQUOT:
            .run(what, at: .init(path), got: message, advice: "free some space there, or choose another disk")
        case EACCES, EPERM, EROFS:
            .input(
                what, at: .init(path), got: message, advice: "choose a folder you may write to, or change its rights")
        case ENOENT:
            .input(what, at: .init(path), got: message, advice: "check the path, and that its folder exists")
        case ENOTDIR, EISDIR, ENAMETOOLONG, ELOOP:
            .input(what, at: .init(path), got: message, advice: "check the path")
        default:
            .run(what, at: .init(path), got: message)
        }
    }
}
