import Layers

/// One row of blocks at one resolution, run once or several times.
final class Level {
    /// A block and whether ControlNet counts it.
    struct Member {
        let block: any Block
        /// What the keys of its parameters begin with.
        let path: String
        let isInjectionPoint: Bool
    }

    /// Keys `{down,up}_blocks.STEP.POSITION`, positions counted through. A group is a residual block with what follows it up to the
    /// next: the blocks of one layer.
    let groups: [[Member]]
    /// 1x1 convolutions between repetitions, keys `{down,up}_repeat_mappers.STEP.REPETITION`.
    let repeatMappers: [(mapper: Linear, path: String)]
    /// Which level it is, the outermost 0.
    let index: Int

    /// What is passed in one piece: groups by the path of their first block, and mappers.
    var blocks: [NetworkBlock] {
        groups.map { NetworkBlock($0[0].path, paths: $0.map(\.path)) }
            + repeatMappers.map { NetworkBlock($0.path, paths: [$0.path]) }
    }

    /// Which way the rows are passed: down from the outermost level, or up from the innermost.
    enum Way: Int {
        case down, up

        /// What the keys of its blocks begin with.
        var name: String { self == .down ? "down" : "up" }
    }

    /// - Parameter step: how many levels have been passed on this way.
    init(_ c: some StageConfiguration, _ way: Way, step: Int, _ root: Scope) throws {
        index = way == .down ? step : c.levels - 1 - step
        let shape = BlockShape(
            width: c.hidden[index], heads: c.heads[index], kernelSize: c.kernelSize,
            selfAttention: c.selfAttention[index], depth: c.blocks[0].reduce(0, +))
        let letters = Array(c.levelConfiguration[index])
        let scope = root("\(way.name)_blocks")(step)
        let members = try (0..<c.blocks[way.rawValue][step] * letters.count).map { position in
            let letter = letters[position % letters.count]
            // The first residual block on the way up takes in what the way down left at its level.
            let takesSkip = way == .up && step > 0 && position == 0
            let block: any Block =
                switch letter {
                case "C": try ResidualBlock(shape, skipWidth: takesSkip ? shape.width : 0, scope(position))
                case "T":
                    try TimestepBlock(
                        shape, timeWidth: c.timeWidth, conditions: c.timeConditions, scope(position))
                case "A": try AttentionBlock(shape, conditionWidth: c.conditionWidth, scope(position))
                default: try FeedForwardBlock(shape, scope(position))
                }
            return Member(block: block, path: scope(position).path, isInjectionPoint: letter == "C")
        }
        groups = members.reduce(into: []) { groups, member in
            if groups.isEmpty || member.isInjectionPoint { groups.append([]) }
            groups[groups.count - 1].append(member)
        }
        repeatMappers = try (0..<c.blockRepeat[way.rawValue][step] - 1).map { repetition in
            let scope = root("\(way.name)_repeat_mappers")(step)(repetition)
            return (try Linear(.init(shape.width, shape.width, storedAsConvolution: true), scope), scope.path)
        }
    }
}
