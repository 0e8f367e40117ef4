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
