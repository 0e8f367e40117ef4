import Failures
import Files
import Glibc
import JSON
import Synchronization
import Web

/// Remote shards kept whole in a folder, each under a hash of its address without what only allows it to be had, with a
/// note of the state it was in. Where they take more than a limit, those that were not used for longest go.
///
/// Once in a run the server is asked whether a kept shard is still its file. Where no server answers, what is there is
/// used.
final class ShardCache: Sendable {
    let folder: String
    private let limit: Int
    private struct State {
        /// Paths found to be what the server has.
        var checked: Set<String> = []
        var isOffline = false
    }
    private let state = Mutex(State())

    /// - Parameter limit: bytes of all shards together; the one that was brought last stays, however large it is.
    init(folder: String, limit: Int) {
        self.folder = folder
        self.limit = limit
    }

    private func path(for request: WebRequest) -> String {
        let address = request.address
        let parts = ["\(address.scheme)://\(address.host):\(address.port)\(address.path)"] + address.meaning
        return "\(folder)/\(SHA256.hex(of: Array(parts.joined(separator: "\0").utf8)).prefix(32)).tar"
    }

    func holds(_ request: WebRequest) -> Bool { fileExists(path(for: request)) }

    /// The path of the shard, downloaded where it is not there or another by now.
    func file(for request: WebRequest, name: String, client: WebClient) throws -> String {
        let path = path(for: request)
        if fileExists(path), try isCurrent(path, request, name, client) {
            state.withLock { _ = $0.checked.insert(path) }
            // The time of its last use; where that can't be noted, it goes sooner.
            _ = utimensat(AT_FDCWD, path, nil, 0)
            return path
        }
        try Folder.make(folder)
        let report = try Download(request, to: path, client: client)()
        let note: JSON = [
            "address": .string("\(request.address)"), "etag": report.validator.etag.map(JSON.string) ?? .null,
            "last_modified": report.validator.lastModified.map(JSON.string) ?? .null,
        ]
        try writeAtomically(note.text() + "\n", to: "\(path).json")
        state.withLock {
            $0.checked.insert(path)
            $0.checked.subtract(trim(keeping: path))
        }
        return path
    }

    /// Removes what was not used for longest until the limit holds, and gives back the paths. Whoever reads one of them
    /// still has it open.
    private func trim(keeping path: String) -> [String] {
        let names = ((try? Folder.names(folder)) ?? []).filter { $0.hasSuffix(".tar") }
        let kept = names.compactMap { name -> (path: String, bytes: Int, used: (Int, Int))? in
            var facts = stat()
            let place = "\(folder)/\(name)"
            guard stat(place, &facts) == 0 else { return nil }
            return (place, Int(facts.st_size), (facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec))
        }
        var total = kept.reduce(0) { $0 + $1.bytes }
        var removed: [String] = []
        for shard in kept.sorted(by: { $0.used < $1.used }) where total > limit && shard.path != path {
            _ = unlink(shard.path)
            _ = unlink("\(shard.path).json")
            total -= shard.bytes
            removed.append(shard.path)
        }
        return removed
    }

    private func isCurrent(_ path: String, _ request: WebRequest, _ name: String, _ client: WebClient) throws -> Bool {
        if state.withLock({ $0.isOffline || $0.checked.contains(path) }) { return true }
        guard let note = try? JSON.read("\(path).json") else { return false }
        let kept = WebValidator(etag: note["etag"]?.stringValue, lastModified: note["last_modified"]?.stringValue)
        var request = request
        if let etag = kept.etag {
            request.headers.append(WebHeader("If-None-Match", etag))
        } else if let date = kept.lastModified {
            request.headers.append(WebHeader("If-Modified-Since", date))
        } else {
            return false
        }
        let response: WebResponse
        do {
            // What is there serves without a server: that is not worth a long wait.
            var client = client
            client.patience = nil
            response = try client.open(request)
        } catch let failure as Failure where failure.mayPass {
            state.withLock { $0.isOffline = true }
            client.note("\(name) and other shards are read from \(folder) as they are: \(failure)")
            return true
        }
        switch response.status {
        case 304: return true
        case 200: return WebValidator(response.headers) == kept
        default: throw request.failure(of: response)
        }
    }
}
