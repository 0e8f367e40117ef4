import Failures
import Files
import TestSupport
import Testing

@Suite struct CacheFolderTests {
    private let key = "0123456789abcdef"

    @Test func `what was put in is read back, also by another value on the same folder`() throws {
        let scratch = try ScratchFolder()
        let cache = try CacheFolder("\(scratch.path)/a/b")
        #expect(cache.read(key) == nil)
        for content in [mixedBytes(1000), [], [7]] {
            try cache.write(key, content)
            #expect(try CacheFolder("\(scratch.path)/a/b").read(key) == content)
        }
        #expect(cache.read("0123456789abcdee") == nil)
    }

    @Test func `a torn or damaged entry is absent, and can be put in again`() throws {
        let scratch = try ScratchFolder()
        let cache = try CacheFolder(scratch.path)
        try cache.write(key, mixedBytes(500))
        let path = "\(scratch.path)/01/\(key)"
        let whole = try readFile(path)
        for cut in [0, 1, 31, 32, 531] {
            try writeAtomically(Array(whole.prefix(cut)), to: path)
            #expect(cache.read(key) == nil, "cut to \(cut)")
        }
        var changed = whole
        changed[400] ^= 1
        try writeAtomically(changed, to: path)
        #expect(cache.read(key) == nil)
        try cache.write(key, mixedBytes(500))
        #expect(cache.read(key) == mixedBytes(500))
        #expect(try Folder.names("\(scratch.path)/01") == [key])
    }

    @Test func `a folder that cannot be made is a failure`() throws {
        let failure = try expectedFailure { _ = try CacheFolder("/dev/null/cache") }
        #expect(failure.place?.file.hasPrefix("/dev/null") == true)
    }
}
