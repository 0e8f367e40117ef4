import TestSupport
import Testing

/// Drawn weights are the same numbers here and in Python.
@Suite struct DrawnWeightsTests {
    @Test func everyRuleMatchesPythonBitForBit() throws {
        let golden = try Golden("drawn")
        let expected = golden.part("out")
        #expect(expected.count == 9)
        for (key, tensor) in expected {
            #expect(golden.drawn(key, shape: tensor.shape) == tensor.floats, "\(key)")
        }
    }
}
