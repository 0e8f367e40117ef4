import Cascade
import Testing

@Suite struct ModelSizeTests {
    @Test func aNameAndAWidthEachTellASize() {
        #expect(ModelSize.all.map(\.name) == ["3.6B", "1B", "tiny", "3B", "700M"])
        for size in ModelSize.all {
            #expect(ModelSize.named(size.name)?.width == size.width)
            #expect(ModelSize.of(size.part, width: size.width)?.name == size.name)
        }
        #expect(ModelSize.named("2B") == nil && ModelSize.of(.stageC, width: 640) == nil)
        #expect(ModelSize.names(of: .stageC) == "3.6B, 1B, tiny")
        #expect(ModelSize.names(of: .stageC, last: " or ") == "3.6B, 1B or tiny")
        #expect(ModelSize.all.filter { !$0.isPublished }.map(\.name) == ["tiny"])
    }

    @Test func theStrideOfTheEncoderIsThatOfItsSteps() {
        #expect(EffNetEncoder.Configuration().stride == 32)
    }
}
