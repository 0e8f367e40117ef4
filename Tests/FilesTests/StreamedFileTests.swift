import Failures
import Files
import TestSupport
import Testing

@Suite struct StreamedFileTests {
    /// Numbers that repeat after a prime, so that a shifted block is not the same.
    private static let content = (0..<3_000_011).map { UInt8(truncatingIfNeeded: $0 % 251) }

    @Test(arguments: [0, 1, 8, 4095, 4096, 1_000_003])
    func piecesOfAllSizesAndAddressesArriveInOrder(first: Int) throws {
        let folder = try ScratchFolder()
        let content = Self.content
        try content.withUnsafeBytes { bytes in
            var file = try StreamedFile(at: "\(folder.path)/out", size: bytes.count)
            var rest = UnsafeRawBufferPointer(rebasing: bytes[first...])
            try file.write(UnsafeRawBufferPointer(rebasing: bytes[..<first]))
            for size in [0, 3, 700_000, 4096, 1 << 20] {
                try file.write(UnsafeRawBufferPointer(rebasing: rest[..<size]))
                rest = UnsafeRawBufferPointer(rebasing: rest[size...])
            }
            try file.write(rest)
            try file.commit()
        }
        #expect(try folder.read("out") == content)
        #expect(try folder.names() == ["out"])
    }

    @Test func whatIsNotCommittedLeavesNoTrace() throws {
        let folder = try ScratchFolder()
        try folder.write("out", [1, 2, 3])
        do {
            var file = try StreamedFile(at: "\(folder.path)/out", size: 10_000)
            try file.write([UInt8](repeating: 7, count: 5000))
        }
        #expect(try folder.read("out") == [1, 2, 3])
        #expect(try folder.names() == ["out"])
    }

    @Test func moreThanTheDiskHoldsIsRefusedBeforehand() throws {
        let folder = try ScratchFolder()
        let failure = try #require(throws: Failure.self) {
            _ = try StreamedFile(at: "\(folder.path)/out", size: 1 << 55)
        }
        #expect(failure.blame == .run && failure.what.hasPrefix("can't write"))
        #expect(try folder.names().isEmpty)
    }
}
