import Failures

/// Reads a pickle that torch wrote, and builds tensors, dictionaries, lists, tuples, numbers and texts; nothing else.
///
/// Only opcodes that torch writes are known, only names of `PickleGlobal` are let in, and applying one of them makes a
/// value of this file: no code of the pickle's choosing can run. Work and memory are bounded by the pickle's length
/// and by `objectLimit`.
///
/// Source of the opcodes: CPython, `Lib/pickletools.py`.
final class PickleMachine {
    /// Stack, memo and tables hold at most this many values each, containers four times as many in all.
    static let objectLimit = 1 << 20
    /// The longest pickle that is read, in bytes.
    static let lengthLimit = 1 << 28

    private(set) var tuples: [[PickleValue]] = []
    private(set) var lists: [[PickleValue]] = []
    private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
    private(set) var tensors: [PickleTensor] = []
    /// Those that were referred to, by key.
    private(set) var storages: [String: PickleStorage] = [:]
    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    /// How many values have been put into containers.
    private var held = 0
    private var cursor: ByteCursor
    private let path: String

    init(_ bytes: UnsafeRawBufferPointer, path: String) {
        cursor = ByteCursor(UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.lengthLimit)))
        self.path = path
    }

    /// Where the next pickle, or what follows the last, begins.
    var position: Int { cursor.position }

    func broken(_ what: String) -> Failure {
        .input("not a readable torch file: \(what)", at: Failure.Place(path))
    }

    private func refused(_ what: String) -> Failure {
        .input(
            "the pickle asks for \(what), which is not let in: only tensors, dictionaries and numbers are read",
            at: Failure.Place(path), advice: "save the state_dict alone, or as safetensors, where you trust the file")
    }

    /// Runs one pickle to its end.
    /// - Throws: a failure of the input where it is damaged or asks for anything but tensors and plain values.
    func run() throws -> PickleValue {
        (stack, marks, memo) = ([], [], [:])
        while true {
            let opcode: UInt8 = try read()
            if opcode == UInt8(ascii: ".") { return try pop() }
            try step(opcode)
            guard stack.count <= Self.objectLimit, memo.count <= Self.objectLimit, marks.count <= Self.objectLimit,
                tuples.count + lists.count + dictionaries.count + tensors.count <= Self.objectLimit,
                held <= 4 * Self.objectLimit
            else { throw broken("it has more than \(Self.objectLimit) objects") }
        }
    }

    private func step(_ opcode: UInt8) throws {
        switch opcode {
        case 0x80:  // PROTO
            let version: UInt8 = try read()
            guard version <= 5 else { throw broken("its pickle protocol is \(version)") }
        case 0x95: let _: UInt64 = try read()  // FRAME
        case UInt8(ascii: "("): marks.append(stack.count)
        case UInt8(ascii: "N"): stack.append(.none)
        case 0x88: stack.append(.bool(true))
        case 0x89: stack.append(.bool(false))
        case UInt8(ascii: "J"): stack.append(.int(Int(try read() as Int32)))
        case UInt8(ascii: "K"): stack.append(.int(Int(try read() as UInt8)))
        case UInt8(ascii: "M"): stack.append(.int(Int(try read() as UInt16)))
        case 0x8a: try pushLong()
        case UInt8(ascii: "G"): stack.append(.double(Double(bitPattern: UInt64(bigEndian: try read()))))
        case UInt8(ascii: "X"): stack.append(try text(Int(try read() as UInt32)))
        case 0x8c, UInt8(ascii: "U"): stack.append(try text(Int(try read() as UInt8)))
        case 0x8d:  // BINUNICODE8
            let length: UInt64 = try read()
            stack.append(try text(Int(clamping: length)))
        case UInt8(ascii: "C"): try skipBytes(Int(try read() as UInt8))
        case UInt8(ascii: "B"): try skipBytes(Int(try read() as UInt32))
        case UInt8(ascii: "q"): try remember(Int(try read() as UInt8))
        case UInt8(ascii: "r"): try remember(Int(try read() as UInt32))
        case 0x94: try remember(memo.count)  // MEMOIZE
        case UInt8(ascii: "h"): try recall(Int(try read() as UInt8))
        case UInt8(ascii: "j"): try recall(Int(try read() as UInt32))
        case UInt8(ascii: ")"): push(tuple: [])
        case 0x85: push(tuple: try pop(1))
        case 0x86: push(tuple: try pop(2))
        case 0x87: push(tuple: try pop(3))
        case UInt8(ascii: "t"): push(tuple: try popToMark())
        case UInt8(ascii: "]"): pushList()
        case UInt8(ascii: "}"): pushDictionary()
        case 0x8f: stack.append(.other)  // EMPTY_SET
        case 0x90:  // ADDITEMS
            _ = try popToMark()
            guard case .other = try top() else { throw broken("items are added to something that is no set") }
        case UInt8(ascii: "a"): try append([try pop()])
        case UInt8(ascii: "e"): try append(try popToMark())
        case UInt8(ascii: "s"): try set(try pop(2))
        case UInt8(ascii: "u"): try set(try popToMark())
        case UInt8(ascii: "c"): try pushGlobal(module: try textLine(), name: try textLine())
        case 0x93:  // STACK_GLOBAL
            let names = try pop(2)
            guard case .text(let module) = names[0], case .text(let name) = names[1] else {
                throw broken("it refers to a name that is no text")
            }
            try pushGlobal(module: module, name: name)
        case UInt8(ascii: "R"): try reduce()
        case UInt8(ascii: "b"): try build()
        case UInt8(ascii: "Q"): try pushStorage(try pop())
        default:
            throw refused("the pickle opcode 0x\(String(opcode, radix: 16))")
        }
    }

    // MARK: Reading

    private func read<Number: FixedWidthInteger>() throws -> Number {
        guard let number = cursor.number(Number.self) else { throw broken("its pickle ends too early") }
        return number
    }

    private func text(_ length: Int) throws -> PickleValue {
        guard let bytes = cursor.run(length) else { throw broken("its pickle ends within a text") }
        return String(validating: bytes, as: UTF8.self).map(PickleValue.text) ?? .unreadableText
    }

    private func textLine() throws -> String {
        guard let bytes = cursor.line() else { throw broken("its pickle ends within a name") }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func skipBytes(_ length: Int) throws {
        guard cursor.run(length) != nil else { throw broken("its pickle ends within bytes") }
        stack.append(.other)
    }

    /// LONG1: two's complement, little-endian. What does not fit 64 bits is no size of anything.
    private func pushLong() throws {
        guard let bytes = cursor.run(Int(try read() as UInt8)) else { throw broken("its pickle ends in a number") }
        guard bytes.count <= 8 else { return stack.append(.other) }
        var value: UInt64 = bytes.last.map { $0 >= 0x80 } ?? false ? .max : 0
        for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
        stack.append(.int(Int(Int64(bitPattern: value))))
    }

    // MARK: The stack

    private func pop() throws -> PickleValue {
        guard stack.count > marks.last ?? 0, let value = stack.popLast() else {
            throw broken("its pickle takes more than it put down")
        }
        return value
    }

    private func top() throws -> PickleValue {
        guard stack.count > marks.last ?? 0, let value = stack.last else {
            throw broken("its pickle takes more than it put down")
        }
        return value
    }

    private func pop(_ count: Int) throws -> [PickleValue] {
        guard stack.count - (marks.last ?? 0) >= count else { throw broken("its pickle takes more than it put down") }
        defer { stack.removeLast(count) }
        return Array(stack.suffix(count))
    }

    private func popToMark() throws -> [PickleValue] {
        guard let mark = marks.popLast() else { throw broken("its pickle closes what it never opened") }
        defer { stack.removeSubrange(mark...) }
        return Array(stack[mark...])
    }

    private func remember(_ index: Int) throws { memo[index] = try top() }

    private func recall(_ index: Int) throws {
        guard let value = memo[index] else { throw broken("its pickle recalls what it never kept") }
        stack.append(value)
    }

    // MARK: Containers

    private func push(tuple: [PickleValue]) {
        held += tuple.count
        tuples.append(tuple)
        stack.append(.tuple(tuples.count - 1))
    }

    private func pushList() {
        lists.append([])
        stack.append(.list(lists.count - 1))
    }

    private func pushDictionary() {
        dictionaries.append([])
        stack.append(.dictionary(dictionaries.count - 1))
    }

    private func append(_ values: [PickleValue]) throws {
        guard case .list(let index) = try top() else { throw broken("something is appended to what is no list") }
        held += values.count
        lists[index] += values
    }

    private func set(_ items: [PickleValue]) throws {
        guard case .dictionary(let index) = try top() else { throw broken("items are set in what is no dictionary") }
        held += items.count
        guard items.count % 2 == 0 else { throw broken("a key has no value") }
        for start in stride(from: 0, to: items.count, by: 2) {
            dictionaries[index].append((items[start], items[start + 1]))
        }
    }

    // MARK: Names and what they make

    private func pushGlobal(module: String, name: String) throws {
        guard let global = PickleGlobal(module: module, name: name) else {
            throw refused("`\(module.prefix(100)).\(name.prefix(100))`")
        }
        stack.append(.global(global))
    }

    private func reduce() throws {
        let pair = try pop(2)
        guard case .global(let global) = pair[0], case .tuple(let index) = pair[1] else {
            throw refused("a call of something that is no name")
        }
        let arguments = tuples[index]
        switch global {
        case .orderedDictionary:
            // Old versions of Python hand the items over at once, as a list of pairs.
            pushDictionary()
            guard let first = arguments.first else { return }
            guard arguments.count == 1, case .list(let list) = first else {
                throw broken("an ordered dictionary is made of no list")
            }
            for item in lists[list] { try set(keyAndValue(item)) }
        case .rebuildTensor, .rebuildTensor2, .rebuildTensor3:
            tensors.append(try tensor(global, arguments))
            stack.append(.tensor(tensors.count - 1))
        case .rebuildParameter:
            guard case .tensor? = arguments.first else { throw broken("a parameter is made of no tensor") }
            stack.append(arguments[0])
        case .size:
            guard case .tuple? = arguments.first else { throw broken("a size is made of no tuple") }
            stack.append(arguments[0])
        case .opaque: stack.append(.other)
        case .storage, .dtype: throw refused("a call of a storage's class or a dtype")
        }
    }

    private func keyAndValue(_ value: PickleValue) throws -> [PickleValue] {
        let items: [PickleValue]
        switch value {
        case .tuple(let index): items = tuples[index]
        case .list(let index): items = lists[index]
        default: items = []
        }
        guard items.count == 2 else { throw broken("an item of an ordered dictionary is no pair") }
        return items
    }

    /// BUILD sets an object's attributes; of all that is let in, only an ordered dictionary has some, and only
    /// versions of modules stand in them.
    private func build() throws {
        _ = try pop()
        guard case .dictionary = try top() else { throw refused("attributes of something that is no dictionary") }
    }

    private func tensor(_ kind: PickleGlobal, _ arguments: [PickleValue]) throws -> PickleTensor {
        guard arguments.count >= (kind == .rebuildTensor3 ? 7 : kind == .rebuildTensor2 ? 6 : 4),
            case .storage(let storage) = arguments[0], case .int(let offset) = arguments[1],
            let shape = sizes(arguments[2]), let strides = sizes(arguments[3]), shape.count == strides.count,
            shape.count <= 16
        else { throw broken("a tensor is described wrongly") }
        var dtype = storage.dtype
        if kind == .rebuildTensor3, case .global(.dtype(let own)) = arguments[6] { dtype = own }
        guard let dtype else { throw broken("a tensor has no dtype") }
        return PickleTensor(storage: storage, dtype: dtype, offset: offset, shape: shape, strides: strides)
    }

    private func sizes(_ value: PickleValue) -> [Int]? {
        guard case .tuple(let index) = value else { return nil }
        let sizes = tuples[index].compactMap { if case .int(let size) = $0 { size } else { nil } }
        return sizes.count == tuples[index].count ? sizes : nil
    }

    /// A persistent id: ("storage", class, key, device, count), with a sixth in legacy files that is None.
    private func pushStorage(_ id: PickleValue) throws {
        guard case .tuple(let index) = id else { throw broken("it refers to a storage wrongly") }
        let parts = tuples[index]
        guard parts.count == 5 || parts.count == 6, case .text("storage") = parts[0],
            case .global(.storage(let dtype)) = parts[1], case .text(let key) = parts[2],
            case .int(let count) = parts[4], count >= 0
        else { throw broken("it refers to a storage wrongly") }
        if parts.count == 6 {
            guard case .none = parts[5] else { throw broken("it has views of storages, which torch ceased to write") }
        }
        let storage = PickleStorage(key: key, dtype: dtype, count: count)
        storages[key] = storage
        stack.append(.storage(storage))
    }
}
