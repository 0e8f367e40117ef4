import Failures
import Layers
import Weights

/// Weights of Stable Cascade in any layout: which parts they hold and where each tensor belongs.
///
/// Layouts and parts are told apart by the tensors' names and shapes, never by the name of the file.
public final class Checkpoint {
    /// The tensors by the names of the file; values that are stored scaled are already multiplied.
    public let file: any NamedTensors
    /// Whose names the tensors have; `reference` where nothing tells.
    public let layout: Layout
    /// In the order of `ModelPart`; empty where nothing is known of the file.
    public let parts: [ModelPart]
    private let roots: [PartRoot]
    private let passedOver: [PartRoot]
    private let places: [String: TensorPlace]

    /// Opens what lies at a path, whatever its format: see `Tensors.open`.
    public convenience init(_ path: String) throws { self.init(try Tensors.open(path)) }

    /// Works out the places of tensors by their names and shapes; no value is read.
    public init(_ file: any NamedTensors) {
        let file = ScaledTensors.resolved(file)
        self.file = file
        let (roots, passedOver) = PartRoot.find(in: file)
        self.roots = roots
        self.passedOver = passedOver
        parts = ModelPart.allCases.filter { part in roots.contains { $0.part == part } }
        var places: [String: TensorPlace] = [:]
        for entry in file.entries { places[entry.name] = Self.place(of: entry, roots) }
        self.places = places
        layout = Self.layout(roots, file)
    }

    /// Where a tensor of the file belongs; nil for one that belongs to no part: position ids, optimizer states, markers.
    public func place(of fileKey: String) -> TensorPlace? { places[fileKey] }

    /// The tensors of a part by their official names, read when they are asked for.
    ///
    /// A file of which nothing is known is taken to be the part in official names: whoever loads it then learns key by
    /// key what does not fit.
    /// - Parameter mayBeQuantised: whether the reader takes matrices in fewer bits, as a frozen network does.
    /// - Throws: a failure of the input that says what the file holds where that is something else.
    public func tensors(of part: ModelPart, mayBeQuantised: Bool = false) throws -> any NamedTensors {
        if !mayBeQuantised, let quantisation {
            throw Failure.input(
                "the weights are quantised", at: Failure.Place(file.path),
                expected: "the weights that they were made from", got: quantisation.rawValue,
                advice:
                    "only a frozen base can be in fewer bits: training or changing the weights needs the original file")
        }
        if parts.isEmpty {
            if let key = file.entries.first(where: { Self.isOfAdapter($0.name) })?.name {
                throw Failure.input(
                    "an adapter lies in the place of weights", at: Failure.Place(file.path),
                    expected: "weights of a \(part.description)", got: "`\(key)`",
                    advice: "name it where an adapter of its kind is asked for")
            }
            return file
        }
        guard let root = roots.first(where: { $0.part == part }) else {
            throw Failure.input(
                "there is no \(part.description) in the weights", at: Failure.Place(file.path),
                got: holdings)
        }
        return try PartTensors(self, root)
    }

    /// What the matrices of the file are quantised to; nil where they are not.
    public var quantisation: BaseDType? { QuantisedMatrix.keys(in: file).values.first }

    /// Whether a key is one that only files of adapters have.
    private static func isOfAdapter(_ key: String) -> Bool {
        ["lora_", ".hada_", ".lokr_"].contains(where: key.contains) || key.hasPrefix("tokens.")
    }

    /// Where the file has a part a second time, as live and averaged weights: what stands before the keys of the one
    /// that counts and before those of each other; nil where it has it once.
    public func places(of part: ModelPart) -> (used: String, passedOver: [String])? {
        let others = passedOver.filter { $0.part == part }.map(\.prefix)
        guard !others.isEmpty, let used = roots.first(where: { $0.part == part }) else { return nil }
        return (used.prefix, others)
    }

    /// The name in the file by which a part was known; nil where the file has no such part.
    public func evidence(of part: ModelPart) -> String? { roots.first { $0.part == part }?.evidence }

    /// What the file holds, for people: "Stage C (3.6B), CLIP text encoder".
    public var holdings: String {
        parts.map { part in part.description + (size(of: part).map { " (\($0))" } ?? "") }.joined(separator: ", ")
    }

    /// The `model_version` whose widths a part has; nil where it has others.
    public func size(of part: ModelPart) -> String? {
        guard let root = roots.first(where: { $0.part == part }) else { return nil }
        let width: Int? =
            switch part {
            case .stageC: file[root.prefix + "clip_txt_mapper.weight"]?.shape.first
            case .stageB: file[root.prefix + "down_blocks.1.0.channelwise.0.weight"]?.shape.last
            default: nil
            }
        return width.flatMap { ModelSize.of(part, width: $0)?.name }
    }

    private static func place(of entry: TensorEntry, _ roots: [PartRoot]) -> TensorPlace? {
        // ComfyUI keeps the transposed projection beside the tower instead of in it.
        let inside = entry.name.hasSuffix("clip_g.text_projection") ? "clip_g.transformer.text_projection" : nil
        let name = inside.map { String(entry.name.dropLast("clip_g.text_projection".count)) + $0 } ?? entry.name
        let around = roots.filter { name.hasPrefix($0.prefix) }
        let depth = around.map(\.prefix.count).max() ?? 0
        let candidates = around.filter { $0.prefix.count == depth }
        guard let first = candidates.first else { return nil }
        let key = String(name.dropFirst(depth))
        let top = String(key.prefix { $0 != "." })
        let owner =
            candidates.first { $0.part.topNames.contains(top) }
            ?? (candidates.count == 1 && !ModelPart.isTowerName(top) ? first : nil)
        guard let owner, let official = KeyRules(part: owner.part).official(owner.omitted + key) else { return nil }
        var rows: Range<Int>?
        if let third = official.third {
            guard let height = entry.shape.first, height <= Int.max / 4 else { return nil }
            rows = third * height..<(third + 1) * height
        }
        return TensorPlace(part: owner.part, key: official.key, rows: rows, isTransposed: official.isTransposed)
    }

    private static func layout(_ roots: [PartRoot], _ file: any NamedTensors) -> Layout {
        let names = file.entries.lazy.map(\.name)
        func any(_ part: String) -> Bool { names.contains { $0.contains(part) } }
        let comfyPrefixes = ["model.diffusion_model.", "clip_g.transformer.", "clip_l_vision.", "vae.", "encoder."]
        if roots.contains(where: { root in comfyPrefixes.contains { root.prefix.hasSuffix($0) } })
            || any(".attention.attn.to_q.")
        {
            return .comfyUI
        }
        let isStageBOfDiffusers = roots.contains { root in
            root.part == .stageB && file[root.prefix + "clip_mapper.weight"] == nil
        }
        if isStageBOfDiffusers || any(".attention.to_q.") || any("vquantizer.embedding.") { return .diffusers }
        if roots.contains(where: { $0.part == .effnet && file[$0.prefix + "features.0.0.weight"] != nil }) {
            return .torchvision
        }
        let towers: Set<ModelPart> = [.clipText, .clipVision]
        return !roots.isEmpty && towers.isSuperset(of: roots.map(\.part)) ? .transformers : .reference
    }
}

extension ModelPart {
    /// Whether keys of a CLIP tower begin so: in the file of one tower, the other's are nobody's.
    fileprivate static func isTowerName(_ top: String) -> Bool {
        clipText.topNames.contains(top) || clipVision.topNames.contains(top)
    }
}
