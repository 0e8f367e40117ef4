import Glibc
import Shards
import Telemetry
import Web

extension MachineOptions {
    /// Shards as the environment of this process says they are reached; what goes wrong on the way is told.
    var shardAccess: ShardAccess {
        let console = Console.standardError(isQuiet: quiet)
        return ShardAccess(client: WebClient(note: { console.log($0) })) { name in
            getenv(name).map { String(cString: $0) }
        }
    }
}
