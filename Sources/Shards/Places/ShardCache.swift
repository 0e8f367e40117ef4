import Failures
import Files
import JSON
import Synchronization
import Web

/// Remote shards kept whole in a folder, each under a hash of its address, with a note of the state it was in.
///
/// Once in a run the server is asked whether a kept shard is still its file. Where no server answers, what is there is
/// used.
final class ShardCache: Sendable {
    let folder: String
    private struct State {
        /// Paths found to be what the server has.
        var checked: Set<String> = []
        var isOffline = false
    }
    private let state = Mutex(State())

    init(folder: String) { self.folder = folder }

    private func path(for request: WebRequest) -> String {
        "\(folder)/\(SHA256.hex(of: Array(request.address.text.utf8)).prefix(32)).tar"
    }

    func holds(_ request: WebRequest) -> Bool { fileExists(path(for: request)) }

    /// The path of the shard, downloaded where it is not there or another by now.
    func file(for request: WebRequest, name: String, client: WebClient) throws -> String {
        let path = path(for: request)
        if fileExists(path), try isCurrent(path, request, name, client) {
            state.withLock { _ = $0.checked.insert(path) }
            return path
        }
        try Folder.make(folder)
        let report = try Download(request, to: path, client: client)()
        let note: JSON = [
            "address": .string("\(request.address)"), "etag": report.validator.etag.map(JSON.string) ?? .null,
            "last_modified": report.validator.lastModified.map(JSON.string) ?? .null,
        ]
        try writeAtomically(note.text() + "\n", to: "\(path).json")
        state.withLock { _ = $0.checked.insert(path) }
        return path
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
            response = try client.open(request)
        } catch let failure as Failure where failure.blame == .run {
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
