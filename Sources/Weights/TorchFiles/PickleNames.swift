import Failures
import JSON

/// Gives the tensors in a pickled value their names.
struct PickleNames {
    private let machine: PickleMachine
    private let path: String

    private static let depthLimit = 32
    /// Values looked at: one dictionary that stands in many places counts each time.
    private static let visitLimit = PickleMachine.objectLimit
    /// Bytes of all their names together.
    private static let textLimit = 1 << 27

    init(_ machine: PickleMachine, _ path: String) {
        self.machine = machine
        self.path = path
    }

    /// The tensors in the order of the pickle.
    /// - Throws: a failure of the input where there is none, or dictionaries are knotted.
    func tensors(in value: PickleValue) throws -> [(name: String, tensor: PickleTensor)] {
        var found: [(name: String, tensor: PickleTensor)] = []
        var positions: [ExactText: Int] = [:]
        var (visits, text) = (0, 0)
        func visit(_ value: PickleValue, _ name: String, _ depth: Int) throws {
            visits += 1
            text += name.utf8.count
            guard visits <= Self.visitLimit, depth <= Self.depthLimit, text <= Self.textLimit else {
                throw machine.broken("its dictionaries are knotted or too deep")
            }
            func inner(_ key: String) -> String { name.isEmpty ? key : "\(name).\(key)" }
            switch value {
            case .tensor(let index):
                let name = name.isEmpty ? "tensor" : name
                // A key that is set again has its last value, as in Python.
                if let position = positions[ExactText(name)] {
                    found[position].tensor = machine.tensors[index]
                } else {
                    positions[ExactText(name)] = found.count
                    found.append((name, machine.tensors[index]))
                }
            case .dictionary(let index):
                for (key, value) in machine.dictionaries[index] {
                    switch key {
                    case .text(let key): try visit(value, inner(key), depth + 1)
                    case .int(let key): try visit(value, inner(String(key)), depth + 1)
                    case .unreadableText: throw machine.broken("a name in it is no UTF-8")
                    default: continue
                    }
                }
            case .list(let index):
                for (place, value) in machine.lists[index].enumerated() {
                    try visit(value, inner(String(place)), depth + 1)
                }
            case .tuple(let index):
                for (place, value) in machine.tuples[index].enumerated() {
                    try visit(value, inner(String(place)), depth + 1)
                }
            case .none, .bool, .int, .double, .text, .unreadableText, .global, .storage, .other: return
            }
        }
        try visit(value, "", 0)
        guard !found.isEmpty else {
            throw Failure.input("there are no tensors in the torch file", at: Failure.Place(path))
        }
        return found
    }
}
