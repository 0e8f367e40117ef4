import Failures
import Testing

@testable import Shards

@Suite struct ShardPaths {
    @Test func `braces count and list`() throws {
        #expect(try expandBraces("a-{0008..0011}.tar") == ["a-0008.tar", "a-0009.tar", "a-0010.tar", "a-0011.tar"])
        #expect(try expandBraces("{8..10}") == ["8", "9", "10"])
        #expect(try expandBraces("{0..1}/{x,y}.tar") == ["0/x.tar", "0/y.tar", "1/x.tar", "1/y.tar"])
        #expect(try expandBraces("plain.tar") == ["plain.tar"])
        #expect(try expandBraces("") == [""])
    }

    @Test(arguments: [
        "{", "{}", "{a}", "{1..}", "{..1}", "{3..1}", "{-1..1}", "{a..c}", "{{1..2}}", "{1..2", "{0..1..2}",
        "{0..99999999999999999999}", "{0..1000000}", "{0..999}{0..999}{0..1}", "{0..9223372036854775807}",
    ])
    func `braces that mean nothing, or too much, are refused`(pattern: String) {
        let failure = #expect(throws: Failure.self) { try expandBraces(pattern) }
        #expect(failure?.blame == .input)
    }

    @Test func `paths, folders and lists of them become shards`() throws {
        let folder = try TemporaryFolder()
        for name in ["b.tar", "a.tar.gz", "c.txt", ".hidden.tar", "d-0.tar", "d-1.tar"] { try folder.write(name, [1]) }
        let all = ["a.tar.gz", "b.tar", "d-0.tar", "d-1.tar"].map { "\(folder.path)/\($0)" }
        #expect(try resolveShards([folder.path]).map(\.name) == all)
        #expect(try resolveShards(["file:\(folder.path)/d-{0..1}.tar"]).map(\.name) == Array(all.suffix(2)))
        #expect(
            try resolveShards(["file://\(folder.path)/b.tar", "\(folder.path)/a.tar.gz"]).map(\.name) == [
                all[1], all[0],
            ])
    }

    @Test func `what can't be found is named`() throws {
        let folder = try TemporaryFolder()
        try folder.write("d-0.tar", [1])
        let missing = #expect(throws: Failure.self) { try resolveShards(["\(folder.path)/d-{0..1}.tar"]) }
        #expect(missing?.place?.file == "\(folder.path)/d-1.tar")
        #expect(missing?.blame == .input)
        try folder.write("empty/readme.txt", [1])
        let empty = #expect(throws: Failure.self) { try resolveShards(["\(folder.path)/empty"]) }
        #expect(empty?.advice?.contains("dataset pack") == true)
        for nothing in [[], [""], ["a\0b"]] { #expect(throws: Failure.self) { try resolveShards(nothing) } }
    }

    @Test(arguments: ["http://host/a.tar", "https://host/a.tar", "s3://bucket/a.tar", "pipe:cat a.tar"])
    func `what can't be read yet is refused plainly`(specification: String) {
        let failure = #expect(throws: Failure.self) { try resolveShards([specification]) }
        #expect(failure?.got == "'\(specification)'")
    }
}
