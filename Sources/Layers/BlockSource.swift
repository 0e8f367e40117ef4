import Torch

/// Where the bytes of a network's blocks wait while they lie in no row of ``SharedBlocks``.
protocol BlockSource: AnyObject {
    /// The device of the rows.
    var device: Device { get }
    /// Bytes of a row that can take a block; 0 of one that is not kept here, but stays with the network.
    func rowSize(_ block: Int) -> Int
    /// Takes in a tensor's bytes.
    func keep(_ value: Tensor, _ place: BlockLayout.Place) throws
    /// Begins to bring a block into a row, which nobody may touch until that has ended.
    func begin(_ block: Int, in row: Tensor) throws -> any BlockArrival
}

/// A block on its way into a row.
protocol BlockArrival {
    /// Waits until it is there, or lets the device wait.
    func finish() throws
}

extension ProcessGroup.Message: BlockArrival {}
extension DeviceCopy: BlockArrival {}
