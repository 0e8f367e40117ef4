import Glibc
import Synchronization

/// The temporary files that are being written, and the folders where files wait, so that an interruption can remove them.
///
/// A signal's handler may neither allocate nor lock: paths lie in places that are there beforehand.
public enum UnfinishedFiles {
    private static let places = InlineArray<16, Place> { _ in Place() }

    /// Room for one path; whoever has brought the state from 0 to 1 alone writes to it.
    private struct Place: ~Copyable, @unchecked Sendable {
        /// 0 free, 1 being filled, 2 filled.
        let state = Atomic<Int>(0)
        let path = UnsafeMutablePointer<CChar>.allocate(capacity: Int(PATH_MAX))
        /// How many numbered files lie in the folder that the path is; negative where it is a file.
        let numbered = Atomic<Int>(-1)
    }

    /// What a number behind a folder's path takes at most.
    private static let longestNumber = 24

    /// Notes a path.
    /// - Parameter isFolder: whether it is a folder that will hold files called `0`, `1` and so on.
    /// - Returns: what to forget it by; nil where there is no room, or the path is longer than the system takes.
    static func add(_ path: String, isFolder: Bool = false) -> Int? {
        guard path.utf8.count + longestNumber < Int(PATH_MAX) else { return nil }
        for index in 0..<places.count
        where places[index].state.compareExchange(expected: 0, desired: 1, ordering: .acquiring).exchanged {
            strcpy(places[index].path, path)
            places[index].numbered.store(isFolder ? 0 : -1, ordering: .relaxed)
            places[index].state.store(2, ordering: .releasing)
            return index
        }
        return nil
    }

    /// Notes how many files a folder may hold.
    static func note(_ count: Int, in index: Int) { places[index].numbered.store(count, ordering: .releasing) }

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
        for index in 0..<places.count where isFilled(index) && places[index].numbered.load(ordering: .relaxed) < 0 {
            _ = unlink(places[index].path)
        }
        // A folder goes once nothing is left in it.
        for index in 0..<places.count where isFilled(index) {
            let count = places[index].numbered.load(ordering: .acquiring)
            if count >= 0 { removeFolder(places[index].path, count) }
        }
    }

    private static func isFilled(_ index: Int) -> Bool { places[index].state.load(ordering: .acquiring) == 2 }

    /// Safe at any moment: the numbers are written behind the path in its own place.
    private static func removeFolder(_ path: UnsafeMutablePointer<CChar>, _ count: Int) {
        let length = Int(strlen(path))
        path[length] = CChar(UInt8(ascii: "/"))
        for number in 0..<count {
            var (end, digits) = (length + 1, 1)
            while digits <= number / 10 { digits *= 10 }
            while digits > 0 {
                path[end] = CChar(UInt8(ascii: "0")) + CChar(number / digits % 10)
                digits /= 10
                end += 1
            }
            path[end] = 0
            _ = unlink(path)
        }
        path[length] = 0
        _ = rmdir(path)
    }
}
