import Cascade
import Generation
import TestSupport
import Testing
import Torch

@Suite struct NetworkOnDemandTests {
    private final class Network {}

    private final class Loads {
        var count = 0
    }

    private func network(_ loads: Loads, patience: Int) -> NetworkOnDemand<Network> {
        NetworkOnDemand(Network(), patience: patience) {
            loads.count += 1
            return Network()
        }
    }

    @Test func `a network goes when nobody asks, comes back, and then waits longer`() throws {
        let loads = Loads()
        let network = network(loads, patience: 2)
        for _ in 0..<3 {
            _ = try network()
            #expect(!network.endTurn())
        }
        #expect([network.endTurn(), network.endTurn()] == [false, true])
        #expect(!network.isLoaded && !network.endTurn() && loads.count == 0)
        _ = try network()
        #expect(network.isLoaded && loads.count == 1)
        #expect((0..<5).map { _ in network.endTurn() } == [false, false, false, false, true])
    }

    @Test func `nothing else holds a network that was let go`() throws {
        weak var held: Network?
        let network = network(Loads(), patience: 1)
        held = try network()
        #expect(held != nil)
        network.release()
        #expect(held == nil)
    }

    @Test func `the text encoder is loaded for captions that no cache holds, and for no others`() throws {
        let scratch = try Scratch()
        let folder = try TinyWorld.shared().text
        let loads = Loads()
        let tower = NetworkOnDemand(try TextEncoder.load(folder: folder)) {
            loads.count += 1
            return try TextEncoder.load(folder: folder)
        }
        let cache = try EncodingCache(scratch["texts"], salt: "tower") { _ in }
        let texts = try TextConditions(tower, cache: cache)
        let first = try texts(["a dog", "a cat"])
        tower.release()
        let again = try texts(["a cat", "a dog"])
        #expect(loads.count == 0 && !tower.isLoaded)
        #expect(try largestDifference(again.tokens.sliced(0, 1..<2), first.tokens.sliced(0, 0..<1)) == 0)
        _ = try texts(["a dog", "a bird"])
        #expect(loads.count == 1 && tower.isLoaded)
    }
}
