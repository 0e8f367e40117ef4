import Files
import Torch

/// What memory a process can still have.
enum FreeMemory {
    /// Bytes; nil where it can't be told, as on CUDA.
    static func bytes(on device: Device) -> Int? {
        guard device == .cpu else { return nil }
        return bytes { path in
            (try? readFile(path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// What the kernel says is available, and no more than the process' cgroup and those around it leave.
    /// - Parameter read: the text of a file; nil where there is none.
    static func bytes(read: (String) -> String?) -> Int? {
        var found = read("/proc/meminfo").flatMap { number(after: "MemAvailable:", in: $0) }.map { $0 << 10 }
        let own = read("/proc/self/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::/") }?.dropFirst(4)
        var folders = (own ?? "").split(separator: "/")
        while true {
            let folder = (["/sys/fs/cgroup"] + folders).joined(separator: "/")
            if let left = left(in: folder, read) { found = min(found ?? left, left) }
            if folders.isEmpty { return found }
            folders.removeLast()
        }
    }

    /// What a cgroup's limit leaves; pages of files count as free, for they can be read again.
    private static func left(in folder: String, _ read: (String) -> String?) -> Int? {
        func whole(_ name: String) -> Int? { read("\(folder)/\(name)").flatMap { number(after: "", in: $0) } }
        guard let limit = whole("memory.max"), let used = whole("memory.current") else { return nil }
        let statistics = read("\(folder)/memory.stat") ?? ""
        let files = ["inactive_file", "active_file"].reduce(0) { $0 + (number(after: $1, in: statistics) ?? 0) }
        return max(0, limit - used + files)
    }

    /// The number that follows a word at the beginning of a line; nil where there is none, as in a cgroup without a limit.
    private static func number(after word: String, in text: String) -> Int? {
        let line = text.split(separator: "\n").first { $0.hasPrefix(word) }?.dropFirst(word.count)
        return line?.split(separator: " ").first.flatMap { Int($0) }
    }
}
