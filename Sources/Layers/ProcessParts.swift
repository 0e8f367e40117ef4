import Torch

/// The blocks of a network in parts, of which each process keeps its own of every block; a block is gathered from all of them.
final class ProcessParts: BlockSource {
    let group: ProcessGroup
    let device = Device.cpu
    /// This process's part of each row, uint8.
    private let shares: [Tensor]

    init(_ layout: BlockLayout, among group: ProcessGroup) throws {
        self.group = group
        let part = layout.alignment
        shares = try layout.sizes.map { size in
            try .zeros([(size + part * group.size - 1) / (part * group.size) * part], dtype: .uint8)
        }
    }

    /// Bytes of this process's part of each block.
    var sizes: [Int] { shares.map(\.count) }

    func rowSize(_ block: Int) -> Int { shares[block].count * group.size }

    func keep(_ value: Tensor, _ place: BlockLayout.Place) throws {
        guard let range = ownRange(place) else { return }
        let first = own(place).lowerBound - place.range.lowerBound
        try value.detached().contiguous().withBytes { from in
            shares[place.block].withMutableBytes { to in
                UnsafeMutableRawBufferPointer(rebasing: to[range])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: from[first..<first + range.count]))
            }
        }
    }

    func begin(_ block: Int, in row: Tensor) throws -> any BlockArrival {
        let share = shares[block]
        try row.sliced(0, group.rank * share.count..<(group.rank + 1) * share.count).assign(share)
        return try group.gather(row.sliced(0, 0..<group.size * share.count))
    }

    /// This process's part of a block.
    func share(_ block: Int) -> Tensor { shares[block] }

    /// Where this process's part of a tensor lies in its part of the block, in bytes; nil where it has none.
    func ownRange(_ place: BlockLayout.Place) -> Range<Int>? {
        let (own, count) = (own(place), shares[place.block].count)
        return own.isEmpty ? nil : own.lowerBound - group.rank * count..<own.upperBound - group.rank * count
    }

    /// This process's part of a tensor's bytes, as a place in the row of its block; empty where it has none.
    func own(_ place: BlockLayout.Place) -> Range<Int> {
        let count = shares[place.block].count
        return place.range.clamped(to: group.rank * count..<(group.rank + 1) * count)
    }
}
