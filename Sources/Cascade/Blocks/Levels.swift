import Layers
import Torch

/// All blocks of Stage B or Stage C: the way down through the levels, and the way up again.
final class Levels {
    /// Keeps only the input of each residual block with those behind it, and computes the rest again for the backward pass.
    var isCheckpointing = false
    /// Where processes share the network; nil where each has all of it.
    var shared: SharedBlocks?

    /// Changes under `down_downscalers.STEP` and `up_upscalers.STEP`.
    private let down: [(change: Change?, level: Level)]
    private let up: [(level: Level, change: Change?)]

    /// A change with what the keys of its parameters begin with.
    private typealias Change = (run: any LevelChange, path: String)

    init(_ c: some StageConfiguration, _ root: Scope) throws {
        func change(_ way: Level.Way, outer: Int, _ scope: Scope) throws -> Change {
            let widths = [c.hidden[outer], c.hidden[outer + 1]]
            let (inputs, outputs) = way == .down ? (widths[0], widths[1]) : (widths[1], widths[0])
            guard let switchLevel = c.switchLevel else {
                return (try StridedChange(inputs, outputs, way, scope), scope.path)
            }
            return (try ResizingChange(inputs, outputs, way, switchesSides: switchLevel[outer], scope), scope.path)
        }
        down = try (0..<c.levels).map { index in
            let change =
                index == 0 ? nil : try change(.down, outer: index - 1, root("down_downscalers")(index))
            return (change, try Level(c, .down, step: index, root))
        }
        up = try (0..<c.levels).map { step in
            let outer = c.levels - 2 - step
            let level = try Level(c, .up, step: step, root)
            return (level, outer < 0 ? nil : try change(.up, outer: outer, root("up_upscalers")(step)))
        }
    }

    /// All of it, in the order of a pass.
    var blocks: [NetworkBlock] {
        func block(_ change: Change?) -> [NetworkBlock] {
            change.map { [NetworkBlock($0.path, paths: [$0.path])] } ?? []
        }
        return down.flatMap { block($0.change) + $0.level.blocks } + up.flatMap { $0.level.blocks + block($0.change) }
    }

    /// - Parameters:
    ///   - x: [B, H, W, hidden[0]].
    ///   - injections: of each ControlNet, conditions [B, C, h, w] by the residual block before which they are added.
    ///   - dropout: nil drops nothing.
    /// - Returns: [B, H', W', hidden[0]]; the sides are those of `x` where every level can halve them.
    func callAsFunction(
        _ x: Tensor, _ context: BlockContext, injections: [[Int: Tensor]] = [], dropout: DropoutPass? = nil
    )
        throws -> Tensor
    {
        var injections = Injections(injections)
        var dropout = dropout
        var x = x
        var outputs: [Tensor] = []
        for (change, level) in down {
            if let change { x = try pass(change, x) }
            x = try run(level, x, skip: nil, context, &injections, &dropout)
            outputs.append(x)
        }
        for (step, (level, change)) in up.enumerated() {
            let skip = step == 0 ? nil : outputs[down.count - 1 - step]
            x = try run(level, x, skip: skip, context, &injections, &dropout)
            if let change { x = try pass(change, x) }
        }
        return x
    }

    private func pass(_ change: Change, _ x: Tensor) throws -> Tensor {
        try shared.run(change.path, [x]) { try change.run($0[0]) }
    }

    private func run(
        _ level: Level, _ input: Tensor, skip: Tensor?, _ context: BlockContext, _ injections: inout Injections,
        _ dropout: inout DropoutPass?
    ) throws -> Tensor {
        var x = input
        for repetition in 0...level.repeatMappers.count {
            for (position, group) in level.groups.enumerated() {
                var aside: Tensor?
                if position == 0, let skip, group[0].isInjectionPoint {
                    if x.size(1) != skip.size(1) || x.size(2) != skip.size(2) {
                        x = try x.resizedChannelsLast(height: skip.size(1), width: skip.size(2))
                    }
                    aside = skip
                }
                if group[0].isInjectionPoint { x = try injections.applied(to: x) }
                let members = group.map { ($0.block, dropout?.next(level: level.index)) }
                x = try apply(group[0].path, members, x, aside, context)
            }
            if repetition < level.repeatMappers.count {
                let (mapper, path) = level.repeatMappers[repetition]
                x = try shared.run(path, [x]) { try mapper($0[0]) }
            }
        }
        return x
    }

    /// - Parameter skip: what the first of the blocks takes in beside its input.
    private func apply(
        _ name: String, _ blocks: [(block: any Block, dropout: Dropout?)], _ x: Tensor, _ skip: Tensor?,
        _ context: BlockContext
    ) throws -> Tensor {
        func run(_ x: Tensor, _ skip: Tensor?, _ context: BlockContext) throws -> Tensor {
            var (x, skip, context) = (x, skip, context)
            for (block, dropout) in blocks {
                context.dropout = dropout
                x = try block(x, skip: skip, context)
                skip = nil
            }
            return x
        }
        guard isCheckpointing || shared != nil else { return try run(x, skip, context) }
        let inputs = [x, context.activatedCondition] + (skip.map { [$0] } ?? [])
        return try shared.run(name, inputs, isCheckpointing: true) { inputs in
            let context = BlockContext(
                times: context.times, activatedCondition: inputs[1], kept: context.kept)
            return try run(inputs[0], inputs.count > 2 ? inputs[2] : nil, context)
        }
    }
}
