import Glibc
import Shards
import Telemetry
import Web

extension MachineOptions {
    var shardAccess: ShardAccess { Console.standardError(isQuiet: quiet).shardAccess }
}

extension Console {
    /// Shards as the environment of this process says they are reached; what goes wrong on the way is told here.
    var shardAccess: ShardAccess {
        ShardAccess(client: WebClient(note: { self.log($0) })) { name in
            getenv(name).map { String(cString: $0) }
        }
    }
}
