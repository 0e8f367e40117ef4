import Images
import Cascade
import Testing

@testable import Generation

@Suite struct FittedImagesTests {
    @Test func `conditions have the size that their Stage C works at`() {
        func side(_ width: Int, _ height: Int, _ stageC: StageCConfiguration) -> Int {
            FittedImages.shortSide(for: ImageSize(width: width, height: height), of: stageC)
        }
        // The reference's 768 pixels, whatever is asked for.
        #expect(side(1024, 1024, .large) == 768)
        #expect(side(1536, 512, .large) == 768)
        // An encoder of stride 8 whose images are as large as those that are drawn: whole patches of 2 x 2 latents.
        var narrow = StageCConfiguration()
        narrow.patchSize = 2
        narrow.encoder.backbone.widths = [8, 8, 8, 8]
        narrow.encoder.backbone.depths = [1, 1, 1]
        narrow.encoder.backbone.strides = [2, 1, 2, 2]
        narrow.encoder.backbone.expansions = [1, 2, 2]
        narrow.compression = 8
        #expect(side(96, 96, narrow) == 96)
        #expect(side(192, 96, narrow) == 96)
        #expect(side(100, 130, narrow) == 112)
    }
}
