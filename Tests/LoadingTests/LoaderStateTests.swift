import JSON
import Testing

@testable import Loading
@testable import Shards

@Suite struct LoaderStates {
    /// A state as it comes back from a file.
    static func read(_ state: LoaderState) throws -> LoaderState {
        try #require(LoaderState(JSON.parse(state.json.text(), file: "state")))
    }

    @Test func `a state is read back from its JSON, and nothing else is a state`() throws {
        let fresh = LoaderState()
        #expect(try Self.read(fresh) == fresh)
        #expect(fresh.seed == nil)
        let world = try LoadingWorld.mixed()
        let state = try world.loader(batchSize: 4).next().stateAfter
        #expect(!state.waiting.isEmpty && state.seed == 3)
        #expect(try Self.read(state) == state)
        var left = state
        (left.decoded, left.places) = (Array(state.waiting.prefix(1)), [2])
        #expect(try Self.read(left) == left)
        let good = try #require(state.json.objectValue)
        // Of a program whose loader decoded before it assigned.
        var old = good
        (old["decoded"], old["places"]) = (nil, nil)
        #expect(LoaderState(.object(old)) == state)
        for (key, value) in [
            ("stream", nil), ("stream", [:]), ("waiting", nil), ("waiting", [1, 2]), ("decoded", [1, 2]),
            ("decoded", ""),
            ("places", ""), ("places", [-1]),
        ]
            as [(String, JSON?)]
        {
            var object = good
            object[key] = value
            #expect(LoaderState(.object(object)) == nil, "\(key)")
        }
        #expect(LoaderState(.null) == nil)
        // Of a program that saved epoch and count alone.
        #expect(LoaderState(["position": [0, 5], "waiting": []]) == nil)
    }
}
