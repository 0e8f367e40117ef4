import Failures
import Generation
import Images
import Testing

@Suite struct ImageGridTests {
    @Test func `a grid has two pixels between its images`() throws {
        let (red, blue) = (
            Image(width: 3, height: 2, colour: (255, 0, 0)), Image(width: 3, height: 2, colour: (0, 0, 255))
        )
        let grid = try Image.grid([[red, blue], [blue]])
        #expect(grid.width == 8 && grid.height == 6)
        let rows = stride(from: 0, to: grid.pixels.count, by: 24).map { start in
            stride(from: start, to: start + 24, by: 3).map { at in
                grid.pixels[at] == 255 ? "r" : grid.pixels[at + 2] == 255 ? "b" : "."
            }.joined()
        }
        #expect(rows == ["rrr..bbb", "rrr..bbb", "........", "........", "bbb.....", "bbb....."])
    }

    @Test func `labels stand on white above their rows`() throws {
        let black = Image(width: 60, height: 20, colour: (0, 0, 0))
        let grid = try Image.grid([[black], [black]], labels: ["one", ""])
        // Strips of 16 pixels, and two pixels between the rows.
        #expect(grid.width == 60 && grid.height == 2 * (16 + 20) + 2)
        func rows(_ range: Range<Int>) -> ArraySlice<UInt8> {
            grid.pixels[range.lowerBound * 60 * 3..<range.upperBound * 60 * 3]
        }
        #expect(rows(0..<16).contains { $0 < 100 } && rows(0..<16).contains(255))
        #expect(rows(16..<36).allSatisfy { $0 == 0 } && rows(54..<74).allSatisfy { $0 == 0 })
        #expect(rows(36..<54).allSatisfy { $0 == 255 })
    }

    @Test func `a grid of nothing, or of several sizes, is a failure`() {
        let (small, large) = (
            Image(width: 1, height: 1, colour: (0, 0, 0)), Image(width: 2, height: 1, colour: (0, 0, 0))
        )
        #expect(throws: Failure.self) { try Image.grid([]) }
        #expect(throws: Failure.self) { try Image.grid([[], []]) }
        #expect(throws: Failure.self) { try Image.grid([[small, large]]) }
    }
}
