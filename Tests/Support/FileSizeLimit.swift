import Failures
import Glibc

/// Lets no file of this process grow past `bytes`, as a full disk would; for a process that a test has to itself.
public func limitFileSize(to bytes: UInt) throws {
    signal(SIGXFSZ, SIG_IGN)
    var limit = rlimit()
    let kind = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    guard getrlimit(kind, &limit) == 0 else { throw Failure.run("the limit of files' sizes cannot be read") }
    limit.rlim_cur = bytes
    guard setrlimit(kind, &limit) == 0 else { throw Failure.run("the limit of files' sizes cannot be set") }
}
