import Failures
import Torch

/// What the environment says of the processes that a command is one of.
extension ProcessGroup.Place {
    /// The place that torchrun's variables give this process, or Slurm's; nil where it is alone.
    /// - Throws: a failure of the input that names a variable which is missing or can't be.
    init?(environment: [String: String]) throws {
        let variables = Variables(environment)
        if variables.has("RANK") || variables.has("WORLD_SIZE") {
            try self.init(torchrun: variables)
        } else if variables.has("SLURM_STEP_NUM_TASKS") {
            // The script of a batch job has SLURM_PROCID and SLURM_NTASKS too, but is no task of a step.
            try self.init(slurm: variables)
        } else {
            return nil
        }
        if size == 1 { return nil }
    }

    /// - Parameter torchrun: what torchrun sets, and many others after it.
    private init(torchrun variables: Variables) throws {
        let size = try variables.number("WORLD_SIZE", 1...65536)
        let rank = try variables.number("RANK", 0...(size - 1))
        self.init(
            rank: rank, size: size,
            localRank: variables.has("LOCAL_RANK") ? try variables.number("LOCAL_RANK", 0...rank) : rank,
            host: size == 1 ? "" : try variables.text("MASTER_ADDR"),
            port: size == 1 ? 0 : try variables.number("MASTER_PORT", 1...65535))
        // Where nothing tells, those that meet on their own machine are all there.
        let isLocal = host == "localhost" || host.hasPrefix("127.")
        localSize =
            variables.has("LOCAL_WORLD_SIZE")
            ? try variables.number("LOCAL_WORLD_SIZE", 1...size) : isLocal ? size : 1
        // torchrun's agent listens at the port itself, and may start the processes again at the same place.
        hasStore = variables.values["TORCHELASTIC_USE_AGENT_STORE"]?.lowercased() == "true"
        name += " \(variables.values["TORCHELASTIC_RESTART_COUNT"] ?? "0")"
    }

    /// - Parameter slurm: what `srun` sets. Tasks meet on the first host of the step, at a port that goes by the job.
    private init(slurm variables: Variables) throws {
        let size = try variables.number("SLURM_STEP_NUM_TASKS", 1...65536)
        let rank = try variables.number("SLURM_PROCID", 0...(size - 1))
        let job = size == 1 ? 0 : try variables.number("SLURM_JOB_ID", 0...Int.max)
        self.init(
            rank: rank, size: size, localRank: try variables.number("SLURM_LOCALID", 0...rank),
            host: size == 1 ? "" : try Self.firstHost(of: variables.text("SLURM_STEP_NODELIST")),
            port: variables.has("MASTER_PORT") ? try variables.number("MASTER_PORT", 1...65535) : 20000 + job % 20000)
        if variables.has("SLURM_STEP_TASKS_PER_NODE") {
            let tasks = try Self.tasks(on: variables.text("SLURM_STEP_TASKS_PER_NODE"))
            let node = variables.has("SLURM_NODEID") ? try variables.number("SLURM_NODEID", 0...(tasks.count - 1)) : 0
            localSize = tasks[node]
        }
        name += " \(variables.values["SLURM_STEP_ID"] ?? "0") \(variables.values["SLURM_RESTART_COUNT"] ?? "0")"
    }

    /// The first of Slurm's `node[01-03,07],other`.
    static func firstHost(of list: String) throws -> String {
        guard let bracket = list.firstIndex(where: { $0 == "[" || $0 == "," }) else { return list }
        let start = list[..<bracket]
        if list[bracket] == "," { return String(start) }
        let number = list[list.index(after: bracket)...].prefix { $0.isNumber }
        guard let close = list.firstIndex(of: "]"), !number.isEmpty else {
            throw Failure.input("SLURM_STEP_NODELIST can't be read", expected: "hosts such as node[01-03]", got: list)
        }
        return String(start + number + list[list.index(after: close)...].prefix { $0 != "," })
    }

    /// Slurm's `2(x3),1`: how many tasks each host has.
    static func tasks(on list: String) throws -> [Int] {
        func number(_ text: Substring) throws -> Int {
            guard let number = Int(text), (1...65536).contains(number) else {
                throw Failure.input(
                    "SLURM_STEP_TASKS_PER_NODE can't be read", expected: "tasks of each host such as 2(x3),1", got: list
                )
            }
            return number
        }
        return try list.split(separator: ",", omittingEmptySubsequences: false).flatMap { part in
            let words = part.split(separator: "(x", maxSplits: 1, omittingEmptySubsequences: false)
            let times = words.count > 1 ? try number(words[1].prefix { $0 != ")" }) : 1
            return Array(repeating: try number(words[0]), count: times)
        }
    }

    private struct Variables {
        let values: [String: String]

        init(_ values: [String: String]) { self.values = values }

        func has(_ name: String) -> Bool { values[name]?.isEmpty == false }

        func text(_ name: String) throws -> String {
            guard let text = values[name], !text.isEmpty else {
                throw Failure.input(
                    "\(name) is not set, but variables beside it say that this is one of several processes",
                    advice:
                        "torchrun sets RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT; srun sets SLURM_*; "
                        + "`--processes N` needs neither")
            }
            return text
        }

        func number(_ name: String, _ range: ClosedRange<Int>) throws -> Int {
            let text = try text(name)
            guard let number = Int(text), range.contains(number) else {
                throw Failure.input(
                    "\(name) is out of range", expected: "\(range.lowerBound) to \(range.upperBound)", got: text)
            }
            return number
        }
    }
}
