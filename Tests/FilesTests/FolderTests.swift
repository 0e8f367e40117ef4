import Failures
import Files
import Glibc
import TestSupport
import Testing

@Suite struct FolderTests {
    @Test func `folders are made with those above them, and twice does no harm`() throws {
        let folder = try ScratchFolder()
        for _ in 1...2 { try Folder.make("\(folder.path)/a/b//c/") }
        #expect(Folder.isFolder("\(folder.path)/a/b/c"))
        #expect(!Folder.isFolder("\(folder.path)/a/b/d"))
    }

    @Test func `a file in the way is a failure`() throws {
        let folder = try ScratchFolder()
        let file = try folder.write("file", [1])
        #expect(!Folder.isFolder(file))
        _ = try expectedFailure { try Folder.make(file) }
        _ = try expectedFailure { try Folder.make("\(file)/below") }
        #expect(try folder.read("file") == [1])
    }

    @Test func `names are sorted, whatever bytes they are of`() throws {
        let folder = try ScratchFolder()
        for name in ["b", "a.txt", "ö", ".hidden"] { try folder.write(name, []) }
        #expect(try Folder.names(folder.path) == [".hidden", "a.txt", "b", "ö"])
        #expect(try expectedFailure { _ = try Folder.names("\(folder.path)/missing") }.blame == .input)
    }
}

@Suite struct LockTests {
    @Test func `a lock is another's only where the system says so`() {
        for (code, isTaken) in [(EWOULDBLOCK, false), (ENOSYS, true), (ENOLCK, true), (EOPNOTSUPP, true)] {
            let took = takeLock(0) { _, operation in
                errno = operation == LOCK_EX | LOCK_NB ? code : EINVAL
                return -1
            }
            #expect(took == isTaken)
        }
        #expect(takeLock(0) { _, _ in 0 })
    }
}

@Suite struct ReadFileTests {
    @Test func `a file is read whole up to a limit`() throws {
        let folder = try ScratchFolder()
        let bytes = (0..<600_000).map { UInt8(truncatingIfNeeded: $0 * 31) }
        let path = try folder.write("file", bytes)
        #expect(try readFile(path) == bytes)
        #expect(try readFile(path, limit: bytes.count) == bytes)
        #expect(try expectedFailure { _ = try readFile(path, limit: bytes.count - 1) }.what.contains("too large"))
    }

    @Test func `a device without end stops at the limit`() throws {
        #expect(try expectedFailure { _ = try readFile("/dev/zero", limit: 1000) }.what.contains("too large"))
    }

    @Test func `what is no file is a failure of the input`() throws {
        let folder = try ScratchFolder()
        for path in [folder.path, "\(folder.path)/missing"] {
            #expect(try expectedFailure { _ = try readFile(path) }.blame == .input)
            #expect(!fileExists(path))
        }
    }
}
