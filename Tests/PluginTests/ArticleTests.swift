import Files
import Testing

/// The articles of AdapterKit's documentation: their code is that of the example, which is built and tested.
@Suite struct ArticleTests {
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    private func text(_ path: String) throws -> String {
        String(decoding: try readFile("\(Self.root)/\(path)"), as: UTF8.self)
    }

    /// What stands between the fences of a page's Swift.
    private func code(in page: String) -> [String] {
        page.components("```swift\n").dropFirst().map { $0.components("```")[0] }
    }

    @Test(arguments: [("WriteAFilter", "SketchFilter"), ("WriteAnAdapterKind", "ChannelScale")])
    func `the code of an article stands in the example's package`(article: String, source: String) throws {
        let blocks = code(in: try text("Sources/AdapterKit/AdapterKit.docc/\(article).md"))
        let sketch = "examples/sketch/Sources/cascade-sketch"
        let tests = try text("examples/sketch/Tests/SketchTests/SketchTests.swift")
        #expect(blocks.count == 3)
        #expect(try blocks.first == text("\(sketch)/\(source).swift"))
        #expect(try blocks.dropFirst().first == text("\(sketch)/main.swift"))
        #expect(tests.contains(blocks.last ?? "?"))
    }
}

extension String {
    /// The parts between a separator.
    fileprivate func components(_ separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
