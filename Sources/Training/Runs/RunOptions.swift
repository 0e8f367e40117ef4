import Shards
import Torch

/// What the command line says of a run, beside its configuration.
public struct RunOptions {
    /// Where the networks are kept and computed.
    public var device = Device.cpu
    /// Threads of one operator; nil leaves it to libtorch.
    public var threads: Int?
    /// Takes the place of the configuration's seed.
    public var seed: UInt64?
    /// Stops after this many updates in all.
    public var steps: Int?
    /// Checks everything, prints the plan and trains nothing.
    public var isDryRun = false
    /// Whether a plan reads all shards of the data, however many there are.
    public var readsAllData = false
    /// Told how many of the shards that a plan reads it has read.
    public var dataProgress: @Sendable (_ shards: Int, _ total: Int) -> Void = { _, _ in }
    /// How shards that are no local files are reached.
    public var shardAccess = ShardAccess()
    /// What a run measures its time and dates its files by.
    public var clock = RunClock.system
    /// Bytes of memory that a run can have on a device; nil where that can't be told.
    public var freeMemory: @Sendable (Device) -> Int? = { FreeMemory.bytes(on: $0) }
    /// What ends the run early.
    public var interruption = RunInterruption.none

    /// For how many processes a plan is; of a run ``group`` says it.
    public var plannedProcesses = 1
    /// Of the network between them, in bits a second.
    public var networkSpeed = 10e9

    /// The processes that train this run together; nil where this one does it by itself.
    public var group: ProcessGroup?

    /// A run on the CPU, by this process alone, to its last update.
    public init() {}

    /// Bytes of memory that each process of the run can have on its device, as far as that can be told: processes of one
    /// machine share what is free there. All get the same answer, that of the machine with the least, so that they settle
    /// alike what goes by it; each looks before any of them goes on.
    func sharedFreeMemory() throws -> Int? {
        let free = freeMemory(device)
        guard let group else { return free }
        let own = free.map { Double($0 / group.place.localSize) }
        let all = try group.gathered([own ?? -1]).map { $0[0] }
        return all.min().flatMap { $0 < 0 ? nil : Int($0) }
    }
}
