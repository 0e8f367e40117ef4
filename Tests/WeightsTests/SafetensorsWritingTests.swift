import Failures
import Files
import TestSupport
import Testing
import Torch
import Weights

@Suite struct SafetensorsWritingTests {
    /// The tensors of the golden in the order of the file, each as the name and its bytes.
    private func contents(_ path: String) throws -> [(name: String, bytes: [UInt8])] {
        let file = try SafetensorsFile(path)
        return try file.entries.map { entry in
            (entry.name, try file.required(entry.name).withBytes { Array($0) })
        }
    }

    @Test func `what is written is what the peer wrote, byte for byte`() throws {
        let golden = try SafetensorsFile(goldenPath("weights.safetensors"))
        let folder = try ScratchFolder()
        let path = "\(folder.path)/copy.safetensors"
        let tensors = try golden.entries.map { ($0.name, try golden.required($0.name)) }
        try SafetensorsWriter.write(tensors, metadata: golden.metadata, to: path)
        #expect(try folder.names() == ["copy.safetensors"])

        let copy = try SafetensorsFile(path)
        #expect(copy.metadata == golden.metadata)
        #expect(copy.entries.map(\.shape) == golden.entries.map(\.shape))
        #expect(copy.entries.map(\.dtype) == golden.entries.map(\.dtype))
        for (ours, theirs) in try zip(contents(path), contents(golden.path)) {
            #expect(ours.name == theirs.name)
            #expect(ours.bytes == theirs.bytes, "\(theirs.name)")
        }
        // The data begin at a multiple of eight, as in the peer's file, and are the same to the last byte.
        let (bytes, peer) = try (readAll(path), readAll(golden.path))
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        let peerLength = peer.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(length % 8 == 0)
        #expect(bytes[(8 + length)...] == peer[(8 + peerLength)...])
    }

    @Test func `a digest that was taken on the way is that of the file`() throws {
        let folder = try ScratchFolder()
        let golden = try SafetensorsFile(goldenPath("weights.safetensors"))
        let tensors = try golden.entries.map { ($0.name, try golden.required($0.name)) }
        let (plain, hashed) = ("\(folder.path)/plain", "\(folder.path)/hashed")
        let digest = try SafetensorsWriter.writeHashed(tensors, metadata: golden.metadata, to: hashed)
        #expect(try digest == SHA256.hex(ofFile: hashed))
        try SafetensorsWriter.write(tensors, metadata: golden.metadata, to: plain)
        #expect(try readAll(plain) == readAll(hashed))
    }

    @Test func `what is made in memory is what is written, and is read from memory`() throws {
        let golden = try SafetensorsFile(goldenPath("weights.safetensors"))
        let tensors = try golden.entries.map { ($0.name, try golden.required($0.name)) }
        let folder = try ScratchFolder()
        try SafetensorsWriter.write(tensors, to: "\(folder.path)/file")
        let bytes = try SafetensorsWriter.bytes(tensors)
        #expect(bytes == (try readAll("\(folder.path)/file")))
        let file = try SafetensorsFile(bytes: bytes, path: "memory")
        for entry in golden.entries {
            let ours = try file.required(entry.name)
            #expect(ours.shape == entry.shape && ours.dtype == entry.dtype)
            #expect(try ours.withBytes { Array($0) } == golden.required(entry.name).withBytes { Array($0) })
        }
        let cut = try expectedFailure { _ = try SafetensorsFile(bytes: Array(bytes.dropLast()), path: "memory") }
        #expect(cut.blame == .input && cut.place?.file == "memory")
        _ = try expectedFailure { _ = try SafetensorsFile(bytes: [], path: "memory") }
    }

    @Test func `tensors are written aligned, contiguous, and from any device`() throws {
        let folder = try ScratchFolder()
        let path = "\(folder.path)/a.safetensors"
        let device = try testDevice()
        let matrix = try Tensor([Float](arrayLiteral: 1, 2, 3, 4, 5, 6), shape: [2, 3]).to(device: device)
        try matrix.setRequiresGrad(true)
        try SafetensorsWriter.write(
            [
                ("odd", .zeros([3], dtype: .uint8)), ("half", .full([3], 0.5, dtype: .bfloat16)),
                ("turned", matrix.transposed(0, 1)), ("wide", .full([1], 7, dtype: .float64)),
            ], to: path)
        let file = try SafetensorsFile(path)
        #expect(file.entries.map(\.name) == ["wide", "turned", "half", "odd"])  // larger elements first
        #expect(try file.required("turned").values(as: Float.self) == [1, 4, 2, 5, 3, 6])
        #expect(try file.required("turned").shape == [3, 2])
        #expect(try file.required("half").values(as: Float.self) == [0.5, 0.5, 0.5])
    }

    @Test func `a place that cannot be written to stays as it was`() throws {
        let folder = try ScratchFolder()
        let tensors = [("a", try Tensor([Float(1)]))]
        for path in ["\(folder.path)/missing/a", folder.path, "/proc/a"] {
            #expect(try expectedFailure { try SafetensorsWriter.write(tensors, to: path) }.blame == .input, "\(path)")
        }
        #expect(try folder.names() == [])
        #expect(try expectedFailure { try SafetensorsWriter.write(tensors, to: "/dev/full") }.blame == .run)
    }

    @Test func `a disk that fills up leaves the old file and nothing beside it`() async {
        await #expect(processExitsWith: .success) {
            let folder = try ScratchFolder()
            let path = try folder.write("a", [9])
            let tensors = [("a", try Tensor.zeros([4096]))]
            try limitFileSize(to: 4096)
            let failure = try expectedFailure { try SafetensorsWriter.write(tensors, to: path) }
            #expect(failure.blame == .run)
            #expect(try folder.names() == ["a"])
            #expect(try readAll(path) == [9])
        }
    }
}
