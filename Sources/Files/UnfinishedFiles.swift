import Glibc
import Synchronization

/// The temporary files that are being written, so that an interruption can remove them.
///
/// A signal's handler may neither allocate nor lock: paths lie in places that are there beforehand.
public enum UnfinishedFiles {
    private static let places = InlineArray<16, Place> { _ in Place() }

    /// Room for one path; whoever has brought the state from 0 to 1 alone writes to it.
    private struct Place: ~Copyable, @unchecked Sendable {
        /// 0 free, 1 being filled, 2 filled.
        let state = Atomic<Int>(0)
        let path = UnsafeMutablePointer<CChar>.allocate(capacity: Int(PATH_MAX))
    }

    /// Notes a path.
    /// - Returns: what to forget it by; nil where there is no room, or the path is longer than the system takes.
    static func add(_ path: String) -> Int? {
        guard path.utf8.count < Int(PATH_MAX) else { return nil }
        for index in 0..<places.count
        where places[index].state.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged {
            strcpy(places[index].path, path)
            places[index].state.store(2, ordering: .releasing)
            return index
        }
        return nil
    }

    static func forget(_ index: Int) { places[index].state.store(0, ordering: .releasing) }

    /// From now on SIGINT, SIGTERM and SIGHUP remove the files and end the process with status 130, until somebody else
    /// listens to them. A SIGHUP that is ignored, as under nohup, stays so.
    public static func removeWhenInterrupted() {
        // The places are made here, for the handler must find them.
        _ = places.count
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if signal == SIGHUP, Signals.isIgnored(signal) { continue }
            var action = sigaction()
            guard sigaction(signal, nil, &action) == 0 else { continue }
            action.__sigaction_handler.sa_handler = { _ in
                UnfinishedFiles.removeAll()
                _exit(130)
            }
            action.sa_flags = 0
            sigaction(signal, &action, nil)
            Signals.letThrough(signal)
        }
    }

    /// Safe at any moment.
    private static func removeAll() {
        for index in 0..<places.count where places[index].state.load(ordering: .acquiring) == 2 {
            _ = unlink(places[index].path)
        }
    }
}
