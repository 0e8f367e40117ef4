import Failures
import Files
import Foundation
import Shards
import TestSupport
import Testing

/// Files out of archives that Python's own modules pack.
@Suite struct ArchiveFilesTests {
    private let scratch: Scratch
    private static let contents = [
        "pkg/a.bin": mixed(300_000), "pkg/sub/b.bin": mixed(70_000), "pkg/c.txt": [1, 2, 3],
    ]

    /// Bytes that pack badly.
    private static func mixed(_ count: Int) -> [UInt8] {
        var state: UInt32 = 1
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(truncatingIfNeeded: state >> 24)
        }
    }

    init() throws {
        scratch = try Scratch()
        for (name, content) in Self.contents {
            try Folder.make(URL(fileURLWithPath: scratch[name]).deletingLastPathComponent().path)
            try writeAtomically(content, to: scratch[name])
        }
        try Folder.make(scratch["out"])
    }

    private func pack(_ module: String, _ name: String) throws -> String {
        let packing = Process()
        packing.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        packing.arguments = ["python3", "-m", module, "-c", name, "pkg"]
        packing.currentDirectoryURL = URL(fileURLWithPath: scratch.path)
        try packing.run()
        packing.waitUntilExit()
        try #require(packing.terminationStatus == 0)
        return scratch[name]
    }

    private func wanted(_ name: String, sha256: String? = nil, bytes: Int? = nil) throws -> ArchivedFile {
        let content = Self.contents[name] ?? []
        return ArchivedFile(
            path: name, destination: scratch["out/\(name.split(separator: "/").last ?? "")"],
            bytes: bytes ?? content.count, sha256: sha256 ?? SHA256.hex(of: content))
    }

    @Test(arguments: [("zipfile", "a.whl"), ("tarfile", "a.tar"), ("tarfile", "a.tar.gz"), ("tarfile", "a.tar.xz")])
    func filesAreTakenOutOfEveryKind(module: String, name: String) throws {
        let archive = try pack(module, name)
        try extractFiles([wanted("pkg/a.bin"), wanted("pkg/sub/b.bin")], from: archive)
        #expect(try readFile(scratch["out/a.bin"]) == Self.contents["pkg/a.bin"])
        #expect(try readFile(scratch["out/b.bin"]) == Self.contents["pkg/sub/b.bin"])
        #expect(try Folder.names(scratch["out"]) == ["a.bin", "b.bin"])
    }

    @Test(arguments: [("zipfile", "a.whl"), ("tarfile", "a.tar.gz")])
    func whatIsNotAsKnownLeavesNothing(module: String, name: String) throws {
        let archive = try pack(module, name)
        let zeros = String(repeating: "0", count: 64)
        for (other, word) in [
            (try wanted("pkg/sub/b.bin", sha256: zeros), "SHA-256 \(zeros)"),
            (try wanted("pkg/sub/b.bin", bytes: 69_999), "69999 bytes"),
            (try wanted("pkg/sub/b.bin", bytes: 70_001), "got 70000"), (try wanted("pkg/none"), "pkg/none"),
        ] {
            let failure = try #require(throws: Failure.self) {
                try extractFiles([wanted("pkg/a.bin"), other], from: archive)
            }
            #expect(failure.blame == .input && "\(failure)".contains(word), "\(failure)")
            #expect(try Folder.names(scratch["out"]) == [])
        }
        #expect(throws: CancellationError.self) {
            try extractFiles([wanted("pkg/a.bin")], from: archive, isCancelled: { true })
        }
        #expect(try Folder.names(scratch["out"]) == [])
    }

    @Test(arguments: [("zipfile", "a.whl"), ("tarfile", "a.tar.gz")])
    func aTornArchiveIsAFailure(module: String, name: String) throws {
        let whole = try readFile(pack(module, name))
        for length in [0, 1, 30, 5000, whole.count / 2] {
            try writeAtomically(Array(whole.prefix(length)), to: scratch["torn"])
            let failure = try #require(throws: Failure.self) {
                try extractFiles(
                    [wanted("pkg/a.bin"), wanted("pkg/c.txt"), wanted("pkg/sub/b.bin")], from: scratch["torn"])
            }
            #expect(failure.blame == .input, "\(length): \(failure)")
            #expect(try Folder.names(scratch["out"]) == [])
        }
    }
}
