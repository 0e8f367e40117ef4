import CSHA256
import Failures
import Files
import TestSupport
import Testing

@Suite struct SHA256Tests {
    private func digest(_ bytes: [UInt8]) -> String {
        var digest = SHA256()
        bytes.withUnsafeBytes { digest.update($0) }
        return digest.finish()
    }

    /// The examples of FIPS 180-4, published by NIST.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                + "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"
        ),
    ])
    func `digests are NIST's`(text: String, expected: String) {
        #expect(digest(Array(text.utf8)) == expected)
    }

    /// The digests are those of `hashlib.sha256(bytes(i * 7 % 251 for i in range(n)))` in Python 3.
    @Test(arguments: [
        (55, "8af594de0e003fdee5c8bb088216c824349b4137070f559574f4a4bddd27b714"),
        (56, "db81bc2bfd43620591df192139062da77d4c376f1888ea3d2190bd07c8d901f9"),
        (63, "bd535b38bf0d0d1a09d370b7e34b2696cea3767801a45d5611a4aaa6954e8527"),
        (64, "292be91abe8c0909fe3d26575af5755eee74d23816dc68c3ba41765136967654"),
        (65, "ba65aedf7884642499a59ae124894611d986cf429e69f569488048af3a99e25a"),
        (1 << 20, "e76e4c02227083fd12207b7bc85287bb9e02a618fed3bd8eab1bc2daeda2fb53"),
    ])
    func `patterns have hashlib's digests, in one piece and in many`(count: Int, expected: String) throws {
        let pattern = (0..<count).map { UInt8($0 * 7 % 251) }
        #expect(digest(pattern) == expected)

        var inPieces = SHA256()
        var (start, size) = (0, 1)
        while start < count {
            let end = min(count, start + size)
            pattern[start..<end].withUnsafeBytes { inPieces.update($0) }
            (start, size) = (end, size % 197 + 13)
        }
        #expect(inPieces.finish() == expected)

        let folder = try ScratchFolder()
        #expect(try SHA256.hex(ofFile: folder.write("pattern", pattern)) == expected)
    }

    /// Both are held to hashlib above where a machine has both; one of them alone runs there.
    @Test func `with and without instructions of its own the processor finds the same`() {
        let blocks = (0..<64 * 9).map { UInt8($0 * 7 % 251) }
        var state: [UInt32] = (1...8).map { $0 * 0x1234_5678 % 0xFFFF_FFFB }
        var plain = state
        cascade_sha256_blocks(&state, blocks, 9)
        cascade_sha256_plain_blocks(&plain, blocks, 9)
        #expect(state == plain)
    }

    @Test func `a file that is not there is a failure of the input`() throws {
        let failure = try expectedFailure { _ = try SHA256.hex(ofFile: "/nowhere/at/all") }
        #expect(failure.blame == .input)
        #expect(failure.place?.file == "/nowhere/at/all")
    }
}
