import AdapterKit
import Failures
import JSON
import Weights

extension KeyedFormat {
    /// The format whose keys a file has; nil where it has none's.
    static func found(in file: any NamedTensors) -> KeyedFormat? {
        file.entries.lazy.compactMap { key($0.name)?.format }.first
    }

    /// The modules of a file in one of these formats, and the keys they are made of.
    static func read(_ file: any NamedTensors) throws -> (modules: [LoRAModule], used: Set<String>) {
        let place = Failure.Place(file.path)
        let keys = file.entries.compactMap { entry in key(entry.name).map { (entry, $0) } }
        let formats = KeyedFormat.allCases.filter { format in keys.contains { $0.1.format == format } }
        guard let format = formats.first, formats.count == 1 else {
            throw Failure.input(
                "the file mixes formats", at: place, expected: "one of them",
                got: formats.map(\.foreign.description).joined(separator: " and "))
        }
        if case (let entry, .other(let method))? = keys.lazy.map({ ($0.0, $0.1.role) }).first(where: {
            if case .other = $0.1 { true } else { false }
        }) {
            throw Failure.input(
                "\(method) cannot be used here", at: place, expected: "LoRA on Stage C or the text tower",
                got: "`\(entry.name)`")
        }
        let strange = keys.filter { $0.1.path == nil }.map(\.0.name)
        guard strange.isEmpty else {
            throw Failure.input(
                "the LoRA has \(strange.count) tensors for modules that no Stage C or text tower has", at: place,
                got: strange.prefix(4).joined(separator: ", "))
        }
        var parts: [String: [(role: Role, tensor: StoredTensor)]] = [:]
        var paths: [String] = []
        for (entry, key) in keys {
            guard let path = key.path else { continue }
            if parts[path] == nil { paths.append(path) }
            parts[path, default: []].append((key.role, StoredTensor(entry, in: file)))
        }
        let scales = try format == .diffusers ? PEFTScales(file) : nil
        let modules = try paths.flatMap { path in
            try module(path, parts[path] ?? [], scales, at: place).thirds(at: place)
        }
        return (modules, Set(keys.map(\.0.name)))
    }

    private static func module(
        _ path: String, _ parts: [(role: Role, tensor: StoredTensor)], _ scales: PEFTScales?, at place: Failure.Place
    ) throws -> LoRAModule {
        func only(_ role: Role) throws -> StoredTensor? {
            let found = parts.filter { $0.role == role }
            guard found.count < 2 else { throw Failure.input("`\(path)` has a matrix twice", at: place) }
            return found.first?.tensor
        }
        guard let down = try only(.down), let up = try only(.up) else {
            throw Failure.input("`\(path)` lacks one of its two matrices", at: place, expected: "down and up")
        }
        let alpha = try only(.alpha).map { tensor in
            guard tensor.shape.reduce(1, *) == 1 else {
                throw Failure.input(
                    "alpha of `\(path)` is no single number", at: place, got: "a tensor of shape \(tensor.shape)")
            }
            return try tensor().to(dtype: .float64).item()
        }
        let module = try LoRAModule(path: path, down: down, up: up, alpha: alpha, at: place)
        return try scales?.applied(to: module, at: place) ?? module
    }
}

extension LoRAModule {
    /// A LoRA of an attention's fused projection as three, which share its down matrix; any other as it is.
    func thirds(at place: Failure.Place) throws -> [LoRAModule] {
        let fused = "in_proj"
        guard path.hasSuffix(".attn.\(fused)") else { return [self] }
        guard outputs % 3 == 0 else {
            throw Failure.input(
                "the up matrix of `\(path)` is not that of three projections", at: place, got: "\(up.shape)")
        }
        let third = outputs / 3
        return try ["to_q", "to_k", "to_v"].enumerated().map { index, name in
            try LoRAModule(
                path: path.dropLast(fused.count) + name, down: down, up: up.rows(index * third..<(index + 1) * third),
                alpha: alpha, at: place)
        }
    }
}
