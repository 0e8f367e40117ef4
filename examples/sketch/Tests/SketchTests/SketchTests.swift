import AdapterTesting
import Testing

@testable import cascade_sketch

/// The filter and the kind of adapter keep what all of them keep.
@Suite struct SketchTests {
    @Test(arguments: FilterContract.Check.allCases)
    func `the filter keeps the contract`(_ check: FilterContract.Check) async throws {
        try await FilterContract(SketchFilter.self)(check)
    }

    @Test(arguments: AdapterContract.Check.allCases)
    func `the adapter keeps the contract`(_ check: AdapterContract.Check) throws {
        let configuration = "{adapter_method: scale, module_filters: [.attn, channelwise, depthwise]}"
        try AdapterContract(ChannelScale.kind, configuration: configuration)(check)
    }
}
