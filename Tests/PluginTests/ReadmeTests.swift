import Failures
import Files
import Testing

@Suite struct ReadmeTests {
    @Test func `the README's filter is the one that these tests compile and hold to the contract`() throws {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let readme = String(decoding: try readFile("/\(folder)/README.md"), as: UTF8.self)
        let filter = String(decoding: try readFile("/\(folder)/Tests/PluginTests/SketchFilter.swift"), as: UTF8.self)
        #expect(readme.contains("```swift\n\(filter)```"))
    }
}
