import Foundation
import Failures
import Files
import Glibc
import JSON
import Telemetry
import Web
import Weights

/// The Hugging Face hub, or the one that `HF_ENDPOINT` names.
struct Hub {
    private let endpoint: String
    private let token: String?

    init(variable: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }) throws {
        var endpoint = variable("HF_ENDPOINT").flatMap { $0.isEmpty ? nil : $0 } ?? "https://huggingface.co"
        while endpoint.hasSuffix("/") { endpoint.removeLast() }
        do {
            _ = try WebAddress(endpoint)
        } catch var failure as Failure {
            failure.place = Failure.Place("HF_ENDPOINT")
            throw failure
        }
        self.endpoint = endpoint
        token = variable("HF_TOKEN").flatMap { $0.isEmpty ? nil : $0 }
    }

    /// A request of a file on the hub's main branch.
    func request(_ repository: String, _ file: String) throws -> WebRequest {
        authorised(WebRequest(try WebAddress("\(endpoint)/\(repository)/resolve/main/\(file)")))
    }

    /// Adds the token, for huggingface.co alone.
    func authorised(_ request: WebRequest) -> WebRequest {
        var request = request
        if let token, request.address.scheme == "https", request.address.host == "huggingface.co" {
            request.confinedHeaders.append(WebHeader("Authorization", "Bearer \(token)"))
        }
        return request
    }
}

/// Downloads files, with a line of progress.
struct ModelFetch {
    /// A file that is there now.
    struct File {
        /// What is told of a file that came.
        struct News {
            let bytes: Int
            /// How many of them an earlier start had brought.
            var resumedAt = 0
            let sha256: String
            /// Whether the SHA-256 was known before, and so checked.
            let isChecked: Bool
        }

        let path: String
        /// nil where it was there before.
        let news: News?

        var json: JSON {
            guard let news else { return ["path": .string(path), "was_here": true] }
            return [
                "path": .string(path), "was_here": false, "bytes": .integer(news.bytes),
                "resumed_at": .integer(news.resumedAt), "sha256": .string(news.sha256),
                "checked": .bool(news.isChecked),
            ]
        }

        var line: String {
            guard let news else { return "\(path): is here already" }
            let check = news.isChecked ? "as expected" : "no hash known to check it by"
            return "\(path): \(news.bytes) bytes, SHA-256 \(news.sha256), \(check)"
        }
    }

    let console: Console
    let hub: Hub
    /// What the file must have, where that was said.
    let sha256: String?

    private var client: WebClient {
        WebClient(isCancelled: { Interruption.isRequested }, note: { [console] in console.log($0) })
    }

    /// Downloads one file, unless it is there.
    func file(_ request: WebRequest, to path: String) throws -> File {
        if fileExists(path) {
            if let sha256, case let found = try SHA256.hex(ofFile: path), found != sha256.lowercased() {
                throw Failure.input(
                    "there is another file already", at: .init(path), expected: "SHA-256 \(sha256.lowercased())",
                    got: found, advice: "move it away, or choose another place with -o")
            }
            return File(path: path, news: nil)
        }
        if let slash = path.lastIndex(of: "/"), slash != path.startIndex { try Folder.make(String(path[..<slash])) }
        console.log("\(path) from \(request.address)")
        var line = DownloadLine(title: path.split(separator: "/").last.map(String.init) ?? path, console: console)
        let download = Download(hub.authorised(request), to: path, sha256: sha256, client: client) {
            line.update($0, of: $1)
        }
        let report = try download()
        line.finish()
        if report.resumedAt > 0 { console.log("resumed at byte \(report.resumedAt)") }
        return File(
            path: path,
            news: .init(
                bytes: report.bytes, resumedAt: report.resumedAt, sha256: report.sha256, isChecked: report.isChecked))
    }

    /// Downloads what a folder in transformers' layout needs: weights, whole or in shards, the tokenizer's files where
    /// there are any, and last the configuration, by which others see that all is there.
    func folder(of repository: String, to folder: String) throws -> [File] {
        guard sha256 == nil else {
            throw Failure.input("--sha256 is for one file", got: "`\(repository)`, which is several")
        }
        func fetch(_ name: String) throws -> File {
            try file(hub.request(repository, name), to: "\(folder)/\(name)")
        }
        func isThere(_ name: String) throws -> Bool {
            if fileExists("\(folder)/\(name)") { return true }
            return try client.offers(hub.request(repository, name))
        }
        // Asked first: a wrong name is told by the file that every such folder has.
        guard try isThere("config.json") else {
            throw Failure.input(
                "the hub has no model of this name in transformers' layout", got: "no config.json in \(repository)",
                advice: "check the name; a gated model needs HF_TOKEN")
        }
        var files: [File] = []
        if try isThere("model.safetensors") {
            files.append(try fetch("model.safetensors"))
        } else {
            let index = "model.safetensors.index.json"
            files.append(try fetch(index))
            for shard in try Self.shards("\(folder)/\(index)") { files.append(try fetch(shard)) }
        }
        for name in [
            "tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json",
            "preprocessor_config.json",
        ] where try isThere(name) { files.append(try fetch(name)) }
        files.append(try fetch("config.json"))
        return files
    }

    /// The shards that an index names.
    private static func shards(_ path: String) throws -> [String] {
        let map = try JSON.read(path)["weight_map"]?.objectValue
        let names = Set((map?.keys ?? []).compactMap { map?[$0]?.stringValue })
        guard !names.isEmpty, names.allSatisfy({ !$0.contains("/") && $0.hasSuffix(".safetensors") }) else {
            throw Failure.input(
                "the index names no shards", at: .init(path), expected: "file names in `weight_map`")
        }
        return names.sorted()
    }
}

/// A line of progress whose length is known once the server has answered.
private struct DownloadLine {
    let title: String
    let console: Console
    private var bar: ProgressBar?

    init(title: String, console: Console) {
        self.title = title
        self.console = console
    }

    mutating func update(_ done: Int, of total: Int?) {
        guard let total else { return }
        let megabytes = done / 1_000_000
        if bar == nil {
            bar = ProgressBar(title, total: max(1, total / 1_000_000), done: megabytes, unit: "MB", console: console) {
                Double(DispatchTime.now().uptimeNanoseconds) / 1e9
            }
        }
        bar?.update(done: megabytes)
    }

    mutating func finish() { bar?.finish() }
}
