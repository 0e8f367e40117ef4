import Generation
import Testing
import Torch

@Suite struct ConditionInputsTests {
    private func inputs(_ caption: String, _ value: Double) throws -> ConditionInputs {
        var inputs = ConditionInputs(captions: [caption])
        inputs.imageEmbeddings = try .full([1, 1, 2], value)
        inputs.control = try .full([1, 3, 2, 2], value)
        inputs.injections = [4: try .full([1, 2, 1, 1], value)]
        inputs.effnet = try .full([1, 1, 2, 2], value)
        return inputs
    }

    @Test func `the unconditional half has the same ControlNet conditions and nothing else`() throws {
        let half = try inputs("a dog", 1).unconditional
        #expect(half.captions == [""] && half.imageEmbeddings == nil && half.effnet == nil)
        #expect(try half.control?.values() == [Float](repeating: 1, count: 12))
        #expect(try half.injections?[4]?.values() == [Float](repeating: 1, count: 2))
    }

    @Test func `joined batches may take the ControlNet conditions of others`() throws {
        let (first, second) = (try inputs("a dog", 1), try inputs("a cat", 2))
        let joined = try ConditionInputs.joined([first, second], controlsOf: [second, first])
        #expect(joined.captions == ["a dog", "a cat"])
        #expect(try joined.imageEmbeddings?.values() == [Float]([1, 1, 2, 2]))
        #expect(try joined.effnet?.selected(0, 1).values() == [Float](repeating: 2, count: 4))
        #expect(try joined.control?.selected(0, 1).values() == [Float](repeating: 1, count: 12))
        #expect(try joined.injections?[4]?.values() == [Float]([2, 2, 1, 1]))
    }

    @Test func `what nobody has stays away`() throws {
        let plain = ConditionInputs(captions: ["a dog"])
        let joined = try ConditionInputs.joined([plain, plain], controlsOf: [plain, plain])
        #expect(joined.captions.count == 2 && joined.imageEmbeddings == nil && joined.control == nil)
        #expect(joined.injections == nil && joined.effnet == nil)
    }
}
