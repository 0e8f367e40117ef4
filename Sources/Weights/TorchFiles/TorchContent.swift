import Failures
import Files
import Torch

/// What a torch file holds before its tensors are named: the pickled value, and where each storage's bytes lie.
struct TorchContent {
    let machine: PickleMachine
    let value: PickleValue
    /// By key, in bytes from the start of the file.
    let storages: [String: Range<Int>]

    static func isZip(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: Array("PK".utf8)) }

    /// A zip file, what torch writes since 1.6: the pickle in `data.pkl`, each storage in a member `data/KEY`.
    init(zip file: MappedFile) throws {
        let directory = try ZipDirectory(file.bytes, path: file.path)
        func broken(_ what: String) -> Failure {
            .input("not a readable torch file: \(what)", at: Failure.Place(file.path))
        }
        guard let pickle = directory.members[directory.root + "data.pkl"] else {
            throw MistakenContent.zip.failure(
                "not a torch file", at: file.path, expected: "an archive of torch.save, which has a `data.pkl`")
        }
        if let order = directory.members[directory.root + "byteorder"], !file.bytes[order].elementsEqual("little".utf8)
        {
            throw broken("its numbers are not little-endian")
        }
        machine = PickleMachine(UnsafeRawBufferPointer(rebasing: file.bytes[pickle]), path: file.path)
        value = try machine.run()
        var storages: [String: Range<Int>] = [:]
        for tensor in machine.tensors where storages[tensor.storage.key] == nil {
            let key = tensor.storage.key
            guard let range = directory.members[directory.root + "data/" + key] else {
                throw broken("storage `\(key.prefix(100))` is missing")
            }
            storages[key] = range
        }
        for tensor in machine.tensors {
            guard let range = storages[tensor.storage.key], Self.fits(tensor.storage, range.count) else {
                throw broken("storage `\(tensor.storage.key)` is shorter than declared")
            }
        }
        self.storages = storages
    }

    private static let magic: [UInt8] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]

    /// Whether a file begins as the legacy format does: a pickled number that says so.
    static func isLegacy(_ bytes: UnsafeRawBufferPointer) -> Bool {
        // PROTO and its version, in later protocols a FRAME of nine bytes, LONG1 of ten bytes, the number.
        guard bytes.first == 0x80 else { return false }
        return [2, 11].contains { start in
            bytes.dropFirst(start).starts(with: [0x8a, 0x0a] + magic)
        }
    }

    /// A legacy file: pickles of a magic number, a version, facts of the system, the value and the storages' keys, one
    /// after another, then each storage as its count and its bytes.
    init(legacy file: MappedFile) throws {
        func broken(_ what: String) -> Failure {
            .input("not a readable torch file: \(what)", at: Failure.Place(file.path))
        }
        guard Self.isLegacy(file.bytes) else { throw broken("it begins with neither a zip nor torch's number") }
        var position = 0
        func next() throws -> (PickleMachine, PickleValue) {
            let machine = PickleMachine(UnsafeRawBufferPointer(rebasing: file.bytes[position...]), path: file.path)
            let value = try machine.run()
            position += machine.position
            return (machine, value)
        }
        _ = try next()
        guard case (_, .int(1001)) = try next() else { throw broken("its version is not 1001") }
        let (facts, system) = try next()
        guard case .dictionary(let index) = system else { throw broken("it has no facts of its system") }
        for (key, fact) in facts.dictionaries[index] {
            if case .text("little_endian") = key, case .bool(false) = fact {
                throw broken("its numbers are not little-endian")
            }
        }
        (machine, value) = try next()
        let (lists, keys) = try next()
        guard case .list(let list) = keys else { throw broken("it has no list of storages") }

        var storages: [String: Range<Int>] = [:]
        var cursor = ByteCursor(file.bytes, at: position)
        for key in lists.lists[list] {
            guard case .text(let key) = key else { throw broken("the key of a storage is no text") }
            // A storage that nothing refers to has a dtype that nobody told: nothing behind it could be found.
            guard let storage = machine.storages[key] else { throw broken("storage `\(key.prefix(100))` is nobody's") }
            guard let count = cursor.number(Int64.self), count >= 0,
                let length = TensorEntry.byteCount([Int(count)], storage.dtype ?? .uint8),
                count == storage.count
            else { throw broken("storage `\(key.prefix(100))` is not as long as declared") }
            let start = cursor.position
            guard cursor.run(length) != nil else { throw broken("it ends within storage `\(key.prefix(100))`") }
            storages[key] = start..<start + length
        }
        self.storages = storages
        for tensor in machine.tensors where storages[tensor.storage.key] == nil {
            throw broken("storage `\(tensor.storage.key.prefix(100))` is missing")
        }
    }

    private static func fits(_ storage: PickleStorage, _ bytes: Int) -> Bool {
        TensorEntry.byteCount([storage.count], storage.dtype ?? .uint8).map { $0 <= bytes } ?? false
    }
}
