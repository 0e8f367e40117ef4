import Glibc
import Synchronization
import Testing

@testable import Loading
@testable import Shards

@Suite struct MemoryOfDecoding {
    @Test func `images that are decoded at once stay within the limit, and one alone may pass it`() throws {
        let memory = DecodingMemory(limit: 100)
        let state = Mutex((taken: 0, most: 0, done: 0))
        let sizes = [60, 40, 30, 250, 10, 90, 100, 20]
        let threads = try (0..<8).map { thread in
            try WorkThread {
                for turn in 0..<20 {
                    let bytes = sizes[(thread + turn) % sizes.count]
                    memory.with(bytes: bytes) {
                        state.withLock {
                            $0.taken += bytes
                            if bytes <= 100 { $0.most = max($0.most, $0.taken) }
                        }
                        usleep(200)
                        state.withLock {
                            $0.taken -= bytes
                            $0.done += 1
                        }
                    }
                }
            }
        }
        for thread in threads { thread.join() }
        let (taken, most, done) = state.withLock { $0 }
        #expect(taken == 0 && done == 160)
        #expect(most <= 100 && most > 60)
    }

    @Test func `what fails gives its memory back`() {
        struct Broken: Error {}
        let memory = DecodingMemory(limit: 10)
        for _ in 0..<3 { #expect(throws: Broken.self) { try memory.with(bytes: 10) { throw Broken() } } }
        #expect(memory.with(bytes: 10) { 7 } == 7)
    }
}
