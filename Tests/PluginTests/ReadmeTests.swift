import Failures
import Files
import Testing

@Suite struct ReadmeTests {
    @Test
    func `the filter and the program of the pages are those of the example, which these tests hold to the contract`()
        throws
    {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        func text(_ path: String) throws -> String {
            String(decoding: try readFile("/\(folder)/\(path)"), as: UTF8.self)
        }
        let pages = try text("README.md") + text("docs/extend.md")
        for file in ["SketchFilter.swift", "main.swift"] {
            #expect(try pages.contains("```swift\n\(text("examples/sketch/Sources/cascade-sketch/\(file)"))```"))
        }
    }
}
