import Failures
import TestSupport
import Testing
import Weights

/// Legacy torch files put together here: right up to the value, which is the pickle under test.
private func legacy(_ value: [UInt8], keys: [UInt8] = [0x80, 2] + Array("].".utf8), data: [UInt8] = []) -> [UInt8] {
    let magic: [UInt8] = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]
    return magic + Array(".".utf8) + [0x80, 2] + Array("M".utf8) + [0xe9, 3] + Array(".".utf8) + [0x80, 2]
        + Array("}.".utf8) + [0x80, 2] + value + Array(".".utf8) + keys + data
}

/// The opcodes of a text, one for each character.
private func ops(_ text: String) -> [UInt8] { Array(text.utf8) }

private func text(_ value: String) -> [UInt8] { [0x8c, UInt8(value.utf8.count)] + ops(value) }

private func number(_ value: Int32) -> [UInt8] { ops("J") + withUnsafeBytes(of: value.littleEndian, Array.init) }

private func tuple(_ items: [[UInt8]]) -> [UInt8] { ops("(") + items.joined() + ops("t") }

/// A float tensor of storage "0", which claims `count` elements.
private func tensor(count: Int32, offset: Int32 = 0, shape: [Int32], strides: [Int32]) -> [UInt8] {
    let storage =
        tuple([text("storage"), ops("ctorch\nFloatStorage\n"), text("0"), text("cpu"), number(count), ops("N")])
        + ops("Q")
    return ops("ctorch._utils\n_rebuild_tensor_v2\n")
        + tuple([
            storage, number(offset), tuple(shape.map(number)), tuple(strides.map(number)), [0x89],
            ops("ccollections\nOrderedDict\n)R"),
        ]) + ops("R")
}

private let oneKey: [UInt8] = [0x80, 2] + ops("](") + text("0") + ops("e.")

/// Storage "0" of four elements.
private let fourFloats: [UInt8] = [4, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 16)

@Suite struct HostilePickleTests {
    private func refusal(_ bytes: [UInt8]) throws -> Failure {
        let folder = try ScratchFolder()
        let path = try folder.write("hostile", bytes)
        let failure = try expectedFailure { _ = try Tensors.open(path) }
        #expect(failure.blame == .input && failure.place?.file == path, "\(failure)")
        return failure
    }

    @Test func `what is put together here is readable as such`() throws {
        let folder = try ScratchFolder()
        let good = legacy(tensor(count: 4, shape: [2, 2], strides: [2, 1]), keys: oneKey, data: fourFloats)
        #expect(try Tensors.open(folder.write("good", good)).required("tensor").shape == [2, 2])
    }

    @Test(arguments: [
        ("cos\nsystem\n", "os.system"), ("cposix\nsystem\n", "posix.system"), ("c__builtin__\neval\n", "eval"),
        ("cnumpy.core.multiarray\nscalar\n", "numpy.core.multiarray.scalar"), ("ctorch\nload\n", "torch.load"),
        ("ctorch.nn.modules.linear\nLinear\n", "Linear"), ("ctorch\nComplexFloatStorage\n", "ComplexFloatStorage"),
    ]) func `a name that is not let in is refused by name`(_ pickle: String, _ name: String) throws {
        #expect("\(try refusal(legacy(ops(pickle))))".contains(name))
    }

    @Test func `names on the stack and old opcodes are refused alike`() throws {
        #expect("\(try refusal(legacy(text("os") + text("system") + [0x93])))".contains("os.system"))
        for opcode in ["i", "o", "S", "I", "F", "P", "2", "1", "0", "d", "l"] {
            #expect("\(try refusal(legacy(ops(opcode))))".contains("pickle opcode"), "\(opcode)")
        }
        for opcode: UInt8 in [0x81, 0x92, 0x82, 0x83, 0x84, 0x8b, 0x96, 0x97, 0x98] {
            #expect("\(try refusal(legacy([opcode])))".contains("pickle opcode"), "\(opcode)")
        }
    }

    @Test func `names are bytes, told apart as such or refused`() throws {
        func dictionary(_ names: [[UInt8]]) -> [UInt8] {
            let item = tensor(count: 4, shape: [4], strides: [1])
            return legacy(
                ops("}(") + names.flatMap { [0x8c, UInt8($0.count)] + $0 + item } + ops("u"), keys: oneKey,
                data: fourFloats)
        }
        #expect("\(try refusal(dictionary([ops("caf\u{e9}"), ops("cafe\u{301}")])))".contains("in 5 and in 6 bytes"))
        // Repaired, the two would be one.
        #expect("\(try refusal(dictionary([[0xff], [0xfe]])))".contains("no UTF-8"))
        // Set again, a key has its last value.
        let folder = try ScratchFolder()
        let file = try Tensors.open(folder.write("twice", dictionary([ops("caf\u{e9}"), ops("caf\u{e9}")])))
        #expect(file.entries.count == 1 && file["caf\u{e9}"] != nil && file["cafe\u{301}"] == nil)
    }

    @Test func `attributes of anything but a dictionary are refused`() throws {
        let odd = ["]}b", ")}b", "N}b", "ctorch\nFloatStorage\n}b"]
        for pickle in odd { #expect("\(try refusal(legacy(ops(pickle))))".contains("attributes"), "\(pickle)") }
    }

    @Test func `calls of classes and of values are refused`() throws {
        #expect("\(try refusal(legacy(ops("ctorch\nFloatStorage\n)R"))))".contains("a call of"))
        #expect("\(try refusal(legacy(ops("])R"))))".contains("a call of"))
    }

    @Test func `what takes more than is there is refused`() throws {
        for pickle in ["", "R", "b", "s", "u", "t", "e", "a", "(R", "}(Nu", "h\u{1}", "((", "(", "Q", "]Q", "]Na"] {
            _ = try refusal(legacy(ops(pickle)))
        }
    }

    @Test func `nesting without end ends`() throws {
        // Lists within lists, each in the one before; and a list within itself.
        let (open, close) = ([UInt8](repeating: 0x5d, count: 200_000), [UInt8](repeating: 0x61, count: 199_999))
        #expect("\(try refusal(legacy(open + close)))".contains("too deep"))
        #expect("\(try refusal(legacy(ops("]q\u{0}h\u{0}a"))))".contains("too deep"))
        // Two of the one before, thirty times over.
        let bomb = ops("]q\u{0}") + (0..<30).flatMap { _ in ops("]q\u{1}(h\u{0}h\u{0}eq\u{0}") }
        #expect("\(try refusal(legacy(bomb)))".contains("too deep"))
    }

    @Test func `a flood of objects is refused before it fills the memory`() throws {
        for opcode: UInt8 in [0x5d, 0x7d, 0x29, 0x4e, 0x28] {
            let flood = [UInt8](repeating: opcode, count: 1_200_000)
            #expect("\(try refusal(legacy(flood)))".contains("more than"), "\(opcode)")
        }
        let memo =
            ops("N")
            + (0..<1_100_000).flatMap { index in
                ops("r") + withUnsafeBytes(of: UInt32(index).littleEndian, Array.init)
            }
        #expect("\(try refusal(legacy(memo)))".contains("more than"))
    }

    @Test(arguments: [
        tensor(count: 4, shape: [5], strides: [1]), tensor(count: 4, offset: 1, shape: [4], strides: [1]),
        tensor(count: 4, offset: -1, shape: [4], strides: [1]), tensor(count: 4, shape: [2], strides: [4]),
        tensor(count: 4, shape: [2], strides: [-1]), tensor(count: 4, shape: [-2], strides: [1]),
        tensor(count: 4, shape: [.max, .max, .max], strides: [0, 0, 0]),
        tensor(count: 4, shape: [.max], strides: [.max]), tensor(count: 4, shape: [.max, 4], strides: [0, 1]),
        tensor(count: 4, shape: [0, .max, .max, .max], strides: [1, 1, 1, 1]),
        tensor(count: 5, shape: [4], strides: [1]), tensor(count: .max, shape: [4], strides: [1]),
        tensor(count: -1, shape: [4], strides: [1]), tensor(count: 4, shape: [4, 1], strides: [1]),
        tensor(count: 4, offset: .max, shape: [0], strides: [1]),
    ]) func `a tensor that reaches outside of its storage is refused`(_ pickle: [UInt8]) throws {
        _ = try refusal(legacy(pickle, keys: oneKey, data: fourFloats))
    }

    @Test func `numbers of the other byte order are refused`() throws {
        var golden = try readAll(goldenPath("layouts/zip_2.pt"))
        let order = ops("little")
        let at = try #require((0..<golden.count - 6).first { golden[$0..<$0 + 6].elementsEqual(order) })
        golden.replaceSubrange(at..<at + 6, with: ops("big   "))
        #expect("\(try refusal(golden))".contains("little-endian"))
        // In a legacy file the facts of the system say it, the third pickle.
        var bytes = legacy(tensor(count: 4, shape: [4], strides: [1]), keys: oneKey, data: fourFloats)
        let facts = try #require((0..<bytes.count - 2).first { bytes[$0..<$0 + 2].elementsEqual(ops("}.")) })
        bytes.replaceSubrange(facts..<facts + 1, with: ops("}") + text("little_endian") + [0x89] + ops("s"))
        #expect("\(try refusal(bytes))".contains("little-endian"))
    }

    @Test(arguments: ["zip_2.pt", "legacy_4.pt"])
    func `a file cut anywhere is a failure of the input`(_ name: String) throws {
        let whole = try readAll(goldenPath("layouts/\(name)"))
        let folder = try ScratchFolder()
        for length in stride(from: 0, to: whole.count, by: 7) {
            let path = try folder.write("cut", Array(whole.prefix(length)))
            #expect(try expectedFailure { _ = try Tensors.open(path) }.blame == .input, "\(length)")
        }
    }
}
