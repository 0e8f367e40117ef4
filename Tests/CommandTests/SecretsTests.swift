import Foundation
import TestSupport
import Testing

/// A marker stands where addresses have their secrets, and is looked for in all that commands print and write.
@Suite struct SecretsInOutputs {
    private static let marker = "hidden-marker"

    private func expectHidden(_ arguments: [String], in folder: String) throws {
        let outcome = try Command.run(arguments, in: folder)
        #expect(outcome.exited, "\(outcome)")
        #expect(!(outcome.output + outcome.errors).contains(Self.marker), "\(arguments) \(outcome)")
    }

    @Test func `no command prints one`() throws {
        let server = try LoopbackServer { request in
            request.path.hasPrefix("/away")
                ? .init(302, headers: ["Location": "/gone?token=\(Self.marker)"]) : .init(404)
        }
        let host = "127.0.0.1:\(server.port)"
        let scratch = try Scratch()
        let configuration = try scratch.write(
            TinyWorld.shared().configuration(in: scratch, TinyWorld.lora), to: "run.yaml")
        for address in [
            "http://user:MARKER@HOST/a.tar", "http://HOST/a-{0..1}.tar?X-Amz-Signature=MARKER",
            "http://HOST/away?t=MARKER",
            "ftp://user:MARKER@HOST/a.tar", "gs://bucket/a.tar?MARKER", "s3://KEY:MARKER@bucket/a.tar",
            "s3://bucket/../a.tar?sig=MARKER", "https://user:MARKER/x@HOST/a.tar", "http://user:MARKER@ HOST/a.tar",
            "pipe:TOKEN=MARKER false", "pipe:curl -sH 'X: MARKER' http://HOST/a.tar", "pipe:{0..9999999} MARKER",
        ] {
            let text = address.replacingOccurrences(of: "MARKER", with: Self.marker)
                .replacingOccurrences(of: "HOST", with: host)
            let quoted = "'\(text.replacingOccurrences(of: "'", with: "''"))'"
            let list = try scratch.write("- \(quoted)\n- {\n", to: "list.yml")
            for arguments in [
                ["dataset", "inspect", text, "--json"], ["dataset", "inspect", list],
                ["models", "get", text, "-o", "x"],
                ["lora", configuration, "--dry-run", "--set", "webdataset_path=\(quoted)"],
                ["plan", configuration, "--json", "--set", "webdataset_path=[\(quoted)]"],
                ["plan", configuration, "--set", "rank=\(quoted)"], ["plan", configuration, text],
            ] { try expectHidden(arguments, in: scratch.path) }
        }
    }

    @Test func `no file of a run holds one`() throws {
        let scratch = try Scratch()
        let data = try TinyWorld.shared().data
        let configuration = try scratch.write(
            TinyWorld.shared().configuration(
                in: scratch,
                TinyWorld.lora.merging([
                    "webdataset_path": "'pipe:TOKEN=\(Self.marker) cat \(data)'", "wandb_project": "p",
                    "save_every": "1",
                ]) { $1 }), to: "run.yaml")
        try expectHidden(["lora", configuration, "--steps", "1"], in: scratch.path)
        let files = FileManager.default.enumerator(atPath: scratch.path)?.compactMap { $0 as? String } ?? []
        #expect(files.contains { $0.hasSuffix("report.html") } && files.contains { $0.hasSuffix("info.json") })
        for file in files where file != "run.yaml" {
            let content = FileManager.default.contents(atPath: "\(scratch.path)/\(file)") ?? Data()
            #expect(content.firstRange(of: Data(Self.marker.utf8)) == nil, "\(file)")
        }
    }
}
