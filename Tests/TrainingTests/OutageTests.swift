import Failures
import Foundation
import Synchronization
import TestSupport
import Testing
import Training

extension TrainingRuns {
    /// Networks that fail on the way.
    @Suite struct Outages {
        /// A server of the tiny world's data that can be switched off.
        private final class Shards: Sendable {
            private let tar: [UInt8]
            /// How many requests of shards are answered before it is down, and for how many more.
            private let plan = Mutex((served: Int.max, down: 0))
            private let server = Mutex<LoopbackServer?>(nil)

            init() throws {
                tar = try Array(Data(contentsOf: URL(fileURLWithPath: TinyWorld.shared().data)))
                let made = try LoopbackServer { [unowned self] in self.reply($0) }
                server.withLock { $0 = made }
            }

            var paths: String { server.withLock { "\($0?.address ?? "")/{0..2}.tar" } }

            func set(served: Int, down: Int) { plan.withLock { $0 = (served, down) } }

            private func reply(_ request: LoopbackServer.Request) -> LoopbackServer.Reply {
                // A start asks for a byte.
                if request.lastByte != nil { return request.reply(tar) }
                let (isServed, isCut, isSilent) = plan.withLock { plan in
                    if plan.served > 0 {
                        plan.served -= 1
                        return (true, plan.served == 0 && plan.down > 0, false)
                    }
                    guard plan.down > 0 else { return (true, false, false) }
                    plan.down -= 1
                    return (false, false, plan.down % 2 == 0)
                }
                guard isServed else {
                    var reply = LoopbackServer.Reply(isSilent ? 200 : 503, body: isSilent ? tar : [])
                    reply.headers = isSilent ? ["ETag": "\"one\""] : [:]
                    if isSilent { reply.breakAfter = 0 }
                    return reply
                }
                var reply = request.reply(tar)
                if isCut { reply.breakAfter = tar.count / 2 }
                return reply
            }
        }

        private func options() -> RunOptions {
            var options = RunOptions()
            options.shardAccess.client.firstPause = 0.001
            options.shardAccess.client.longestPause = 0.01
            return options
        }

        private func keys(_ shards: Shards, _ changes: [String: String] = [:]) -> [String: String] {
            [
                "webdataset_path": "'\(shards.paths)'", "updates": "20", "cache_in_memory": "false",
                "shuffle_buffer": "4", "data_workers": "1",
            ].merging(changes) { $1 }
        }

        @Test func `an outage in the middle of an epoch changes no byte`() throws {
            let shards = try Shards()
            let whole = try Run(.lora)
            try whole(keys(shards), options: options())
            #expect(!whole.lines.contains { $0.contains("network") })

            let held = try Run(.lora)
            shards.set(served: 4, down: 30)
            let outcome = try #require(try held(keys(shards), options: options()))
            #expect(outcome.isComplete && outcome.drops.isEmpty)
            #expect(held.lines.filter { $0.hasPrefix("the network fails: ") }.count == 1, "\(held.lines)")
            #expect(held.lines.filter { $0.hasPrefix("the network answers again") }.count == 1)
            #expect(try held.bytes(held.weights) == whole.bytes(whole.weights))
            #expect(try held.metrics() == whole.metrics())
        }

        @Test func `an outage without end saves and ends the run, which goes on to the same bytes`() throws {
            let shards = try Shards()
            let whole = try Run(.lora)
            try whole(keys(shards), options: options())

            let run = try Run(.lora)
            let keys = keys(shards, ["network_patience_minutes": "0.005"])
            shards.set(served: 4, down: .max)
            let failure = try run.failure(keys, options: options())
            #expect(failure.blame == .run && failure.mayPass)
            #expect(failure.advice?.contains("is saved") == true, "\(failure.advice ?? "")")
            #expect(try run.text(run.scratch["output/run/report.html"]).contains("Ended with an error"))

            // At the start that follows, it answers for a while as one that is overloaded.
            shards.set(served: 0, down: 20)
            let outcome = try #require(
                try run(keys.merging(["network_patience_minutes": "10"]) { $1 }, options: options()))
            #expect(outcome.isComplete && run.lines.contains { $0.hasPrefix("resumed at update ") })
            #expect(try run.bytes(run.weights) == whole.bytes(whole.weights))
            #expect(try run.metrics() == whole.metrics())
        }

        @Test func `validation data that can't be read ends the start`() throws {
            let shards = try Shards()
            shards.set(served: 0, down: .max)
            let run = try Run(.lora)
            let failure = try run.failure(["validation_path": "'\(shards.paths)'"], options: options())
            #expect(failure.blame == .run && failure.mayPass)
        }
    }
}
