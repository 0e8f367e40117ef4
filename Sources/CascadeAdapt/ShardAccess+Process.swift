import Glibc
import Shards
import Telemetry
import Web

extension MachineOptions {
    var shardAccess: ShardAccess { Console.standardError(isQuiet: quiet).shardAccess }
}

extension Console {
    /// How long an interrupted run still waits for data to finish its update with; schedulers grant half a minute.
    private static let patience = Duration.seconds(10)

    /// Shards as the environment of this process says they are reached; what goes wrong on the way is told here.
    var shardAccess: ShardAccess {
        ShardAccess(
            client: WebClient(isCancelled: { Interruption.isOverdue(after: Self.patience) }, note: { self.log($0) })
        ) { name in
            getenv(name).map { String(cString: $0) }
        }
    }
}
