import Failures
import Weights

/// What a file of another program holds of a method, in a format that names its modules.
struct KeyedFile<Method: ModuleMethod> {
    /// A tensor of one module.
    private struct Key {
        let name: String
        let stem: KeyedFormat.Stem
        /// Which of the method's matrices it is; nil for alpha.
        let matrix: Int?
    }

    private let file: any NamedTensors
    private let keys: [Key]

    /// - Parameter strangers: a module with a matrix of one of these methods is none of this one.
    init(_ file: any NamedTensors, _ strangers: [StrangeKey]) {
        self.file = file
        let named = file.entries.compactMap { entry in Self.part(of: entry.name).map { (entry.name, $0) } }
        let strange = Set(
            file.entries.flatMap { entry in strangers.compactMap { $0.stem(of: entry.name).map(String.init) } })
        // Alpha alone says nothing of the method.
        let stems = Set(named.filter { $0.1.matrix != nil }.map(\.1.stem)).subtracting(strange)
        keys = named.compactMap { name, part in
            guard stems.contains(part.stem),
                let stem = KeyedFormat.stem(part.stem, mayBeBare: part.isPEFT)
            else { return nil }
            return Key(name: name, stem: stem, matrix: part.matrix)
        }
    }

    private typealias Part = (stem: String, matrix: Int?, isPEFT: Bool)

    /// A key as a module's stem and one of its matrices or alpha.
    private static func part(of name: String) -> Part? {
        func stem(before end: String) -> String? {
            name.hasSuffix(".\(end)") ? String(name.dropLast(end.count + 1)) : nil
        }
        for (index, matrix) in Method.matrices.enumerated() {
            for end in matrix.allKeys {
                if let stem = stem(before: end) { return (stem, index, matrix.peftKeys.contains(end)) }
            }
        }
        return Method.hasRank ? stem(before: "alpha").map { ($0, nil, false) } : nil
    }

    /// The format whose keys the file has; nil where it has none's.
    var format: KeyedFormat? { keys.first?.stem.format }

    /// The modules, and the keys they are made of.
    /// - Throws: a failure of the input where the file is damaged, or mixes formats.
    func modules() throws -> (modules: [ModuleMatrices], used: Set<String>) {
        let place = Failure.Place(file.path)
        let formats = KeyedFormat.allCases.filter { format in keys.contains { $0.stem.format == format } }
        guard let format = formats.first, formats.count == 1 else {
            throw Failure.input(
                "the file mixes formats", at: place, expected: "one of them",
                got: formats.map { $0.foreign(Method.name, Method.title).description }.joined(separator: " and "))
        }
        if let ofStageB = keys.first(where: \.stem.isStageB) {
            throw Failure.input(
                "Stage B cannot be used here", at: place, expected: "\(Method.title) on Stage C or the text encoder",
                got: "`\(ofStageB.name)`")
        }
        let strange = keys.filter { $0.stem.path == nil }.map(\.name)
        guard strange.isEmpty else {
            throw Failure.input(
                "the \(Method.title) has \(strange.count) tensors for modules that no Stage C or text encoder has",
                at: place, got: strange.prefix(4).joined(separator: ", "))
        }
        var parts: [String: [Key]] = [:]
        var paths: [String] = []
        for key in keys {
            guard let path = key.stem.path else { continue }
            if parts[path] == nil { paths.append(path) }
            parts[path, default: []].append(key)
        }
        let scales = try format == .diffusers ? Method.peft.map { try PEFTScales(file, $0) } : nil
        let modules = try paths.flatMap { path in
            try module(path, parts[path] ?? [], scales, at: place).thirds(of: Method.self, at: place)
        }
        return (modules, Set(keys.map(\.name)))
    }

    private func module(
        _ path: String, _ parts: [Key], _ scales: PEFTScales?, at place: Failure.Place
    ) throws -> ModuleMatrices {
        func only(_ matrix: Int?) throws -> StoredTensor? {
            let found = parts.filter { $0.matrix == matrix }
            guard found.count < 2 else { throw Failure.input("`\(path)` has a matrix twice", at: place) }
            return found.first.flatMap { file[$0.name] }.map { StoredTensor($0, in: file) }
        }
        let matrices = try Method.matrices.indices.map { index in
            guard let matrix = try only(index) else {
                throw Failure.input(
                    "`\(path)` lacks one of its matrices", at: place,
                    expected: Method.matrices.map(\.name).joined(separator: " and "))
            }
            return matrix
        }
        let alpha = try only(nil).map { tensor in
            guard tensor.shape.reduce(1, *) == 1 else {
                throw Failure.input(
                    "alpha of `\(path)` is no single number", at: place, got: "a tensor of shape \(tensor.shape)")
            }
            return try tensor().to(dtype: .float64).item()
        }
        let module = try ModuleMatrices(of: Method.self, path, matrices, alpha: alpha, at: place)
        return try scales?.applied(to: module, of: Method.self, at: place) ?? module
    }
}
