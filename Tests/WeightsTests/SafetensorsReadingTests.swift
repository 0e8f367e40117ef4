import Failures
import JSON
import TestSupport
import Testing
import Torch

@testable import Weights

/// Where the goldens lie.
func goldenPath(_ name: String) -> String {
    String(#filePath.dropLast("WeightsTests/SafetensorsReadingTests.swift".count)) + "Goldens/" + name
}

@Suite struct SafetensorsReadingTests {
    @Test func `every type has the values that the peer wrote`() throws {
        let file = try SafetensorsFile(goldenPath("weights.safetensors"))
        let expected = try #require(JSON.read(goldenPath("weights.json")).objectValue)
        #expect(Set(file.entries.map(\.name)) == Set(expected.keys))
        #expect(Set(file.entries.map(\.dtype)) == Set(DType.allCases))
        for (name, facts) in expected {
            let tensor = try file.required(name)
            let shape = (facts["shape"]?.arrayValue ?? []).compactMap(\.intValue)
            let values = (facts["values"]?.arrayValue ?? []).compactMap(\.doubleValue)
            #expect(tensor.shape == shape, "\(name)")
            #expect(file[name]?.shape == shape)
            #expect(tensor.dtype == file[name]?.dtype)
            #expect(file[name]?.byteCount == tensor.byteCount)
            if tensor.dtype == .bool {
                #expect(try tensor.values(as: UInt8.self).map { $0 != 0 } == [true, false, true])
            } else {
                #expect(try tensor.values(as: Double.self) == values, "\(name)")
            }
        }
        #expect(file.metadata == ["format": "pt", "note": "a\nb \"c\" é 😀"])
    }

    @Test func `a tensor that is not there is a failure of the input`() throws {
        let file = try SafetensorsFile(goldenPath("weights.safetensors"))
        #expect(try file.tensor("nothing") == nil)
        #expect(file["nothing"] == nil)
        let failure = try expectedFailure { _ = try file.required("nothing") }
        #expect(failure.blame == .input)
        #expect(failure.place?.file == file.path)
    }

    @Test func `tensors of an old file that are not aligned are read all the same`() throws {
        let file = try SafetensorsFile(goldenPath("weights_unaligned.safetensors"))
        #expect(try file.required("a").values(as: Float.self) == [1.5, -2.5, 3.5])
        #expect(try file.required("b").values(as: Double.self) == [Double(Float(0.1)), Double(Float(-0.2))])
        #expect(file.metadata.isEmpty)
    }

    @Test func `metadata that is null is none, as the format's own reader has it`() throws {
        let header = #"{"__metadata__": null, "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}}"#
        let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
        let file = try SafetensorsFile(bytes: length + Array(header.utf8) + [7], path: "null")
        #expect(file.metadata.isEmpty && file.entries.map(\.name) == ["a"])
    }

    /// The lines of the process's memory map that name a file: the ranges of its mappings.
    private func mappings(of path: String) throws -> [Range<UInt>] {
        let maps = String(decoding: try readAll("/proc/self/maps"), as: UTF8.self)
        return maps.split(separator: "\n").filter { $0.hasSuffix(path) }.compactMap { line in
            let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
            return ends.count == 2 ? ends[0]..<ends[1] : nil
        }
    }

    @Test func `tensors are views of the mapped file, which goes with the last of them`() throws {
        let folder = try ScratchFolder()
        let path = try folder.write("model.safetensors", readAll(goldenPath("weights.safetensors")))
        var tensors: [Tensor] = []
        do {
            let file = try SafetensorsFile(path)
            tensors = try ["f32", "bf16", "i64", "u8"].map(file.required)
        }
        let mapping = try #require(try mappings(of: path).first)
        for tensor in tensors {
            tensor.withBytes { bytes in #expect(mapping.contains(UInt(bitPattern: bytes.baseAddress))) }
        }
        // A write stays in this process.
        let before = try readAll(path)
        try tensors[0].assignZero()
        #expect(try tensors[0].abs().sum().item() == 0)
        #expect(try readAll(path) == before)
        tensors = []
        #expect(try mappings(of: path).isEmpty)
    }
}
