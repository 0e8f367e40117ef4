import Failures
import Files
import TestSupport
import Testing
import Torch
import Weights

/// A whole file, for tests.
func readAll(_ path: String) throws -> [UInt8] { try readFile(path) }

/// A file of this header and as many zeros behind it.
private func file(_ header: String, data: Int = 0) -> [UInt8] {
    withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) } + Array(header.utf8)
        + [UInt8](repeating: 0, count: data)
}

/// Headers that claim what cannot be.
private let hostile: [(what: String, bytes: [UInt8])] = {
    func entry(_ shape: String, _ offsets: String, dtype: String = "\"F32\"") -> String {
        #"{"a": {"dtype": \#(dtype), "shape": \#(shape), "data_offsets": \#(offsets)}}"#
    }
    return [
        ("nothing", []), ("seven bytes", [1, 0, 0, 0, 0, 0, 0]), ("a length alone", [9, 0, 0, 0, 0, 0, 0, 0]),
        ("the largest length", [UInt8](repeating: 255, count: 8) + Array("{}".utf8)),
        ("a length past the end", file("{}").map { $0 == 2 ? 3 : $0 }),
        ("no JSON", file("hello")), ("an empty header", file("")), ("half an object", file(#"{"a": {"dtype""#)),
        ("an array", file("[]")), ("bytes that are no UTF-8", file("{}").dropLast() + [0xFF]),
        ("nesting without end", file(String(repeating: "[", count: 100_000))),
        ("an entry that is no object", file(#"{"a": 3}"#)), ("an empty entry", file(#"{"a": {}}"#)),
        ("an unknown type", file(entry("[1]", "[0, 4]", dtype: "\"F31\""), data: 4)),
        ("a type that is a number", file(entry("[1]", "[0, 4]", dtype: "4"), data: 4)),
        ("one offset", file(entry("[1]", "[0]"), data: 4)), ("three offsets", file(entry("[1]", "[0, 4, 4]"), data: 4)),
        ("offsets past the end", file(entry("[2]", "[0, 8]"), data: 4)),
        ("offsets far past the end", file(entry("[1]", "[9223372036854775803, 9223372036854775807]"), data: 4)),
        ("offsets past 64 bits", file(entry("[1]", "[0, 18446744073709551620]"), data: 4)),
        ("negative offsets", file(entry("[1]", "[-4, 0]"), data: 4)),
        ("offsets turned round", file(entry("[1]", "[4, 0]"), data: 4)),
        ("fractions of a byte", file(entry("[1]", "[0.5, 4.5]"), data: 8)),
        ("a shape that does not fill its bytes", file(entry("[2]", "[0, 4]"), data: 4)),
        ("a negative size", file(entry("[-1]", "[0, 4]"), data: 4)),
        ("negative sizes that multiply to what is there", file(entry("[-1, -1]", "[0, 4]"), data: 4)),
        ("a size that is text", file(entry("[\"1\"]", "[0, 4]"), data: 4)),
        ("sizes past 64 bits", file(entry("[4294967296, 4294967296, 4294967296]", "[0, 4]"), data: 4)),
        ("sizes that wrap to what is there", file(entry("[4611686018427387905]", "[0, 4]"), data: 4)),
        (
            "too many dimensions",
            file(entry("[" + [String](repeating: "1", count: 65).joined(separator: ",") + "]", "[0, 4]"), data: 4)
        ),
        ("bytes of no tensor", file(entry("[1]", "[0, 4]"), data: 8)),
        ("a gap before a tensor", file(entry("[1]", "[4, 8]"), data: 8)),
        (
            "the same bytes twice",
            file(
                #"{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "#
                    + #""b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}"#, data: 8)
        ),
        (
            "a name twice",
            file(
                #"{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "#
                    + #""a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}"#, data: 8)
        ),
        ("metadata that is no object", file(#"{"__metadata__": 3}"#)),
        (
            "names that differ by their normal form alone",
            file(
                #"{"caf\u00e9": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, "#
                    + #""cafe\u0301": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}"#, data: 8)
        ),
        (
            "metadata whose names differ by their normal form alone",
            file(#"{"__metadata__": {"caf\u00e9": "a", "cafe\u0301": "b"}}"#)
        ),
        ("metadata that is no text", file(#"{"__metadata__": {"a": 3}}"#)),
    ]
}()

@Suite struct HostileFileTests {
    @Test func `each is a failure of the input that names the file`() throws {
        let folder = try ScratchFolder()
        for (what, bytes) in hostile {
            let path = try folder.write("hostile", bytes)
            let failure = try #require(throws: Failure.self, "\(what)") { _ = try SafetensorsFile(path) }
            #expect(failure.blame == .input, "\(what): \(failure)")
            #expect(failure.place?.file == path, "\(what)")
        }
    }

    @Test func `an empty header is a file without tensors`() throws {
        let folder = try ScratchFolder()
        #expect(try SafetensorsFile(folder.write("empty", file("{}"))).entries.isEmpty)
    }

    @Test func `what is no file is a failure of the input`() throws {
        let folder = try ScratchFolder()
        for path in ["\(folder.path)/missing", folder.path, "/dev/zero", ""] {
            #expect(try expectedFailure { _ = try SafetensorsFile(path) }.blame == .input, "\(path)")
        }
    }

    @Test func `a file cut anywhere is a failure`() throws {
        let whole = try readAll(goldenPath("weights_unaligned.safetensors"))
        let folder = try ScratchFolder()
        for length in 0..<whole.count {
            let path = try folder.write("cut", Array(whole.prefix(length)))
            #expect(try expectedFailure { _ = try SafetensorsFile(path) }.blame == .input, "\(length)")
        }
    }

    @Test func `no change of a few bytes ends the process`() throws {
        let whole = try readAll(goldenPath("weights_unaligned.safetensors"))
        let folder = try ScratchFolder()
        var state: UInt64 = 1
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var (refused, read) = (0, 0)
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0...next(4) {
                // Digits and signs change what is claimed without breaking the JSON.
                let place = next(4) == 0 ? next(8) : next(bytes.count)
                bytes[place] = next(2) == 0 ? UInt8(next(256)) : Array("0123456789-{}[]\",".utf8)[next(17)]
            }
            do {
                let file = try SafetensorsFile(folder.write("mutant", bytes))
                for entry in file.entries { #expect(try file.required(entry.name).count == entry.count) }
                read += 1
            } catch let failure as Failure {
                #expect(failure.blame == .input, "\(failure)")
                refused += 1
            }
        }
        #expect(refused > 100 && read > 0)
    }
}
