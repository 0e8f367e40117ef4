import Failures
import Files
import Foundation
import Glibc
import TestSupport
import Testing

@Suite struct AtomicFileTests {
    @Test func `a file appears whole, and only with its commit`() throws {
        let folder = try ScratchFolder()
        let file = try AtomicFile(at: "\(folder.path)/a")
        try file.write([1, 2])
        #expect(try !folder.names().contains("a"))
        try file.write([3])
        try file.commit()
        #expect(try folder.names() == ["a"])
        #expect(try folder.read("a") == [1, 2, 3])
    }

    @Test func `what is given up leaves the old file and nothing beside it`() throws {
        let folder = try ScratchFolder()
        let path = try folder.write("a", [9])
        func giveUp() throws {
            let file = try AtomicFile(at: path)
            try file.write([1, 2, 3])
            throw Failure.run("given up")
        }
        #expect(throws: Failure.self) { try giveUp() }
        #expect(try folder.names() == ["a"])
        #expect(try folder.read("a") == [9])
    }

    @Test func `what a killed process left beside the file goes when it is begun again`() throws {
        let folder = try ScratchFolder()
        let ended = Process()
        ended.executableURL = URL(fileURLWithPath: "/bin/true")
        try ended.run()
        ended.waitUntilExit()
        let dead = ended.processIdentifier
        for name in ["a.\(dead)-1.tmp", "b.\(dead)-1.tmp", "a.notes.tmp", "a.1-1.tmp"] {
            try folder.write(name, [1])
        }
        let other = try AtomicFile(at: "\(folder.path)/a")
        try other.write([7])
        try writeAtomically([2], to: "\(folder.path)/a")
        // Other names, those of processes that live, and what is being written stay.
        let left = try folder.names()
        #expect(Set(left).isSuperset(of: ["a", "a.1-1.tmp", "a.notes.tmp", "b.\(dead)-1.tmp"]) && left.count == 5)
        try other.commit()
        #expect(try folder.read("a") == [7])
    }

    @Test func `a symbolic link stays and its file is replaced`() throws {
        let folder = try ScratchFolder()
        try folder.write("real", [9])
        #expect(symlink("real", "\(folder.path)/link") == 0)
        try writeAtomically([4, 5], to: "\(folder.path)/link")
        #expect(try folder.read("real") == [4, 5])
        var status = stat()
        #expect(lstat("\(folder.path)/link", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    }

    @Test func `a device is written directly`() throws {
        try writeAtomically("gone", to: "/dev/null")
        let full = try expectedFailure { try writeAtomically("too much", to: "/dev/full") }
        #expect(full.blame == .run)  // a full disk is nobody's mistyped argument
        #expect(full.got?.contains("No space") == true)
    }

    @Test func `places that cannot be written to are failures of the input`() throws {
        let folder = try ScratchFolder()
        let file = try folder.write("file", [])
        for path in ["\(folder.path)/missing/a", "\(file)/a", folder.path, "/proc/a", ""] {
            let failure = try expectedFailure { try writeAtomically([1], to: path) }
            #expect(failure.blame == .input, "\(path): \(failure)")
            #expect(failure.advice != nil, "\(path)")
        }
        #expect(try folder.names() == ["file"])
    }

    @Test func `a disk that fills up leaves nothing behind`() async {
        await #expect(processExitsWith: .success) {
            let folder = try ScratchFolder()
            let path = try folder.write("a", [9])
            try limitFileSize(to: 4096)
            let failure = try expectedFailure { try writeAtomically([UInt8](repeating: 1, count: 10_000), to: path) }
            #expect(failure.blame == .run)
            #expect(try folder.names() == ["a"])
            #expect(try folder.read("a") == [9])
        }
    }
}
