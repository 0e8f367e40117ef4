import Files
import Testing

@Suite struct PathsTests {
    @Test(arguments: [
        ("a/b/c.txt", "c.txt", "a/b"), ("c.txt", "c.txt", "."), ("/c.txt", "c.txt", "/"), ("a/b/", "b", "a/b"),
        ("https://host/x.bin", "x.bin", "https://host"),
    ])
    func aPathIsCutAtItsLastSlash(path: String, name: String, folder: String) {
        #expect(lastComponent(of: path) == name)
        #expect(parentFolder(of: path) == folder)
        #expect(lastComponent(of: sibling("d", of: path)) == "d")
    }

    @Test func aSiblingLiesInTheSameFolder() {
        #expect(sibling("d", of: "a/b/c") == "a/b/d" && sibling("d", of: "/c") == "/d" && sibling("d", of: "c") == "d")
    }

    @Test func aNumberIsPaddedAndNeverCut() {
        #expect(zeroPadded(7, digits: 4) == "0007" && zeroPadded(12_345, digits: 4) == "12345")
        #expect(zeroPadded(0, digits: 1) == "0" && zeroPadded(0x1f, digits: 4, radix: 16) == "001f")
    }

    @Test func aTemporaryFolderGoesWithAllThatIsInIt() throws {
        var folder: TemporaryFolder? = try TemporaryFolder()
        let path = try #require(folder?.path)
        try Folder.make("\(path)/a/b")
        try writeAtomically("x", to: "\(path)/a/b/c")
        folder = nil
        #expect(!Folder.isFolder(path))
    }
}
