import Failures
import Testing
import Torch

@testable import CascadeAdapt

/// How many of a run's processes share a machine, as torchrun and Slurm tell it.
@Suite struct ProcessPlacesTests {
    private static let torchrun = ["RANK": "1", "WORLD_SIZE": "4", "MASTER_PORT": "1", "LOCAL_RANK": "1"]

    private func localSize(_ environment: [String: String]) throws -> Int {
        let place = try ProcessGroup.Place(environment: environment)
        return try #require(place).localSize
    }

    @Test func `torchrun tells, or the host does`() throws {
        let (own, other) = (["MASTER_ADDR": "127.0.0.1"], ["MASTER_ADDR": "node1"])
        #expect(try localSize(Self.torchrun.merging(own) { $1 }) == 4)
        #expect(try localSize(Self.torchrun.merging(other) { $1 }) == 1)
        let told = Self.torchrun.merging(other) { $1 }.merging(["LOCAL_WORLD_SIZE": "2"]) { $1 }
        #expect(try localSize(told) == 2)
        #expect(throws: Failure.self) { try localSize(told.merging(["LOCAL_WORLD_SIZE": "5"]) { $1 }) }
    }

    @Test func `Slurm tells of each host`() throws {
        let step = [
            "SLURM_STEP_NUM_TASKS": "7", "SLURM_PROCID": "6", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "9",
            "SLURM_STEP_NODELIST": "node[1-4]",
        ]
        func localSize(_ tasks: String, _ node: String) throws -> Int {
            try self.localSize(step.merging(["SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_NODEID": node]) { $1 })
        }
        #expect(try localSize("2(x3),1", "0") == 2)
        #expect(try localSize("2(x3),1", "2") == 2)
        #expect(try localSize("2(x3),1", "3") == 1)
        #expect(try self.localSize(step) == 1)
        for tasks in ["x", "2(x0)", "-1", "2,", "(x2)"] {
            #expect(throws: Failure.self, "\(tasks)") { try localSize(tasks, "0") }
        }
        #expect(throws: Failure.self) { try localSize("2(x3),1", "4") }
    }
}
