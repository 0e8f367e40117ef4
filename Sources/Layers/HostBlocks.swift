import Torch

/// The first blocks of a frozen network in host memory, from where they are copied to a device while it computes; the others
/// stay on the device.
final class HostBlocks: BlockSource {
    let device: Device
    /// Rows of bytes, pinned where a device reads them by itself; nil of blocks that stay on the device.
    private let rows: [Tensor?]

    /// - Parameter count: how many blocks wait in host memory; all where there are no more.
    init(_ layout: BlockLayout, _ count: Int, device: Device) throws {
        self.device = device
        rows = try layout.sizes.enumerated().map { index, size in
            guard index < count else { return nil }
            let row = try Tensor.zeros([size], dtype: .uint8)
            return device == .cpu ? row : try row.pinned()
        }
    }

    func rowSize(_ block: Int) -> Int { rows[block]?.count ?? 0 }

    func keep(_ value: Tensor, _ place: BlockLayout.Place) throws {
        guard let row = rows[place.block] else { return }
        try row.sliced(0, place.range).assign(
            value.detached().to(device: .cpu).contiguous().reshaped([-1]).viewed(as: .uint8))
    }

    func begin(_ block: Int, in row: Tensor) throws -> any BlockArrival {
        guard let kept = rows[block] else { preconditionFailure("block \(block) stays on the device") }
        return try DeviceCopy(kept, to: row.sliced(0, 0..<kept.count))
    }
}
