import Cascade
import Failures
import Layers

/// A named place of a base at which an adapter can attach.
public enum InjectionPoint: Hashable, Sendable {
    /// A residual block by its index over the whole network, as `controlnet_blocks` counts.
    case residualBlock(Int)
    /// A product with a weight matrix, or depthwise kernels, by their path, as `module_filters` and `text_module_filters` select.
    case module(String)
}

extension StageCConfiguration {
    /// Checks a selection of residual blocks.
    /// - Throws: a failure of the input that says which blocks exist, for an index past the last, a block named twice
    ///   or none at all.
    public func check(controlNetBlocks blocks: [Int], at place: Failure.Place? = nil) throws {
        let widths = injectionWidths
        let count = widths.count
        let expected = "indices of residual blocks, 0 to \(count - 1)"
        guard !blocks.isEmpty else {
            throw Failure.input("`controlnet_blocks` selects no block", at: place, expected: expected)
        }
        if let past = blocks.first(where: { !(0..<count).contains($0) }) {
            throw Failure.input(
                "`controlnet_blocks` names a block that is not there", at: place, expected: expected, got: "\(past)")
        }
        if Set(blocks).count < blocks.count {
            throw Failure.input("`controlnet_blocks` names a block twice", at: place, got: "\(blocks)")
        }
        if let block = blocks.first(where: { widths[$0] != hidden[0] }) {
            let possible = widths.indices.filter { widths[$0] == hidden[0] }.map(String.init).joined(separator: ", ")
            throw Failure.input(
                "`controlnet_blocks` names a block of another width than the first", at: place,
                expected: "of the blocks with \(hidden[0]) channels: \(possible)",
                got: "block \(block) with \(widths[block])")
        }
    }
}

extension StageC {
    /// Every place there is, blocks first.
    public var injectionPoints: [InjectionPoint] {
        (0..<configuration.injectionPoints).map(InjectionPoint.residualBlock)
            + store.projections.map { .module($0.path) }
    }

    /// The modules whose path contains any of `filters`, in the network's order.
    /// - Throws: a failure of the input that shows what exists, where a filter matches nothing.
    public func modules(
        matching filters: [String], at place: Failure.Place? = nil
    ) throws -> [(path: String, projection: Projection)] {
        try store.projections.selected(by: filters, of: "module_filters", at: place, examples: "down_blocks.0.")
    }
}

extension CLIPTextTower {
    /// Every place at which a LoRA can attach.
    public var injectionPoints: [InjectionPoint] { projections.map { .module($0.path) } }

    /// The modules whose path contains any of `filters`, in the tower's order.
    /// - Throws: a failure of the input that shows what exists, where a filter matches nothing.
    public func modules(
        matching filters: [String], at place: Failure.Place? = nil
    ) throws -> [(path: String, projection: Projection)] {
        try projections.selected(
            by: filters, of: "text_module_filters", at: place, examples: "text_model.encoder.layers.0.")
    }
}

extension [(path: String, projection: Projection)] {
    /// - Parameters:
    ///   - key: of the configuration, which has the filters.
    ///   - examples: what the paths begin with that a failure shows.
    fileprivate func selected(
        by filters: [String], of key: String, at place: Failure.Place?, examples: String
    ) throws -> Self {
        for filter in filters where !contains(where: { $0.path.contains(filter) }) {
            let shown = map(\.path).filter { $0.hasPrefix(examples) }.prefix(8)
            throw Failure.input(
                "`\(key)` has an entry that matches no module", at: place,
                expected: "part of a path such as \(shown.joined(separator: ", "))", got: "`\(filter)`")
        }
        return self.filter { module in filters.contains { module.path.contains($0) } }
    }
}
