import Failures
import Testing

@testable import Shards
@testable import Web

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
        #expect(empty?.expected?.contains(".jpg") == true)
        for nothing in [[], [""], ["a\0b"]] { #expect(throws: Failure.self) { try resolveShards(nothing) } }
    }

    @Test(arguments: ["gs://bucket/a.tar", "hdfs:x", "ftp://host/a.tar", "s3:bucket/x", "http:/x"])
    func `what can't be read is refused plainly`(specification: String) {
        let failure = #expect(throws: Failure.self) { try resolveShards([specification]) }
        #expect(failure?.blame == .input && failure?.got == "'\(specification)'")
    }

    @Test func `braces of a shell command stay unless they count or list`() throws {
        func expanded(_ command: String) throws -> [String] { try expandBraces(command, keepsOthers: true) }
        #expect(try expanded("cat x-{0..1}.tar") == ["cat x-0.tar", "cat x-1.tar"])
        #expect(try expanded("cat { a,b } -") == ["cat  a -", "cat b  -"])
        for plain in ["awk '{print $1}'", "echo ${A:-b,c}", "f() { a; }", "{", "}{", "{ {x} }", "{a..b}", "${A}{"] {
            #expect(try expanded(plain) == [plain])
        }
        #expect(try expanded("x ${A} {1..2}") == ["x ${A} 1", "x ${A} 2"])
        #expect(throws: Failure.self) { try expanded("{0..1000000}") }
    }

    @Test func `a list in YAML names shards beside it, and other lists`() throws {
        let folder = try TemporaryFolder()
        for name in ["a.tar", "sub/b-0.tar", "sub/b-1.tar"] { try folder.write(name, [1]) }
        try folder.write("sub/inner.yaml", Array("- b-{0..1}.tar\n".utf8))
        let list = try folder.write(
            "all.yml", Array("# c\n- a.tar\n- file:sub/inner.yaml\n- \(folder.path)/a.tar\n".utf8))
        #expect(
            try resolveShards([list]).map(\.name) == [
                "\(folder.path)/a.tar", "\(folder.path)/sub/b-0.tar", "\(folder.path)/sub/b-1.tar",
                "\(folder.path)/a.tar",
            ])
        #expect(try resolveShards([folder.write("one.yml", Array("sub/b-0.tar".utf8))]).count == 1)
        for text in ["", "[]", "- {a: b}", "- [a.tar]", "- missing.tar", "- self.yml", "a: b", "- \"", "-"] {
            let wrong = try folder.write("self.yml", Array(text.utf8))
            let failure = #expect(throws: Failure.self) { try resolveShards([wrong]) }
            #expect(failure?.blame == .input && failure?.place?.file.hasPrefix(folder.path) == true)
        }
    }

    @Test func `a list names commands only where that is allowed`() throws {
        let folder = try TemporaryFolder()
        let list = try folder.write("list.yml", Array("- \"pipe:TOKEN=hidden cat a.tar\"\n".utf8))
        let outer = try folder.write("outer.yml", Array("- list.yml\n".utf8))
        var access = ShardAccess()
        for path in [list, outer] {
            let failure = #expect(throws: Failure.self) { try resolveShards([path], access: access) }
            #expect(failure?.blame == .input && failure?.place?.line == 1)
            #expect(failure?.advice?.contains("listed_commands: true") == true)
            #expect(!"\(String(describing: failure))".contains("hidden"))
        }
        access.takesListedCommands = true
        #expect(try resolveShards([list, outer], access: access).count == 2)
        #expect(try resolveShards(["pipe:cat a.tar"]).map(\.name) == ["pipe:cat a.tar"])
    }

    @Test func `names hold no secret and tell one shard from another`() throws {
        func name(_ specification: String) throws -> String { try resolveShards([specification])[0].name }
        #expect(try name("pipe:cat a/b-1.tar") == "pipe:cat a/b-1.tar")
        let secret = try name("pipe:curl -H 'X: hidden' https://h/x.tar?t=hidden | cat")
        #expect(!secret.contains("hidden") && secret.hasPrefix("pipe:curl …["))
        #expect(try secret != name("pipe:curl -H 'X: hidden2' https://h/x.tar?t=hidden | cat"))
        #expect(try name("pipe:aws s3 cp s3://b/x-0.tar -").hasPrefix("pipe:aws … s3://b/x-0.tar …["))
        #expect(try name("pipe:TOKEN=hidden x").hasPrefix("pipe:…"))
        let one = Shard(.web(try WebAddress("https://u:hidden@h/x?id=1")), reach: nil)
        let two = Shard(.web(try WebAddress("https://u:hidden@h/x?id=2")), reach: nil)
        #expect(one.name.hasPrefix("https://h/x?…[") && one.name != two.name && one != two)
        let signed = try ["1", "2"].map { day in
            Shard(.web(try WebAddress("https://h/x?X-Amz-Signature=\(day)&Expires=\(day)")), reach: nil).name
        }
        #expect(signed == ["https://h/x?…", "https://h/x?…"])
    }
}
