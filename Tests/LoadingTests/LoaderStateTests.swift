import JSON
import Loading
import Testing

@Suite struct LoaderStateTests {
    @Test func `a state is read back from its JSON, and nothing else is a state`() throws {
        let fresh = LoaderState()
        #expect(LoaderState(fresh.json) == fresh)
        for broken: JSON in [
            .null, [:], ["position": [-1, 0], "waiting": []], ["position": [0, 0], "waiting": [[1]]],
        ] {
            #expect(LoaderState(broken) == nil)
        }
    }
}
