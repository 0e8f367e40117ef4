import Generation
import Images
import TestSupport
import Testing
import Torch

@Suite struct ImageTensorsTests {
    @Test func `images become tensors and come back`() throws {
        let images = TinyWorld.images(2, seed: 3).map(\.image)
        let tensor = try ImageTensors.tensor(images)
        #expect(tensor.shape == [2, 3, 64, 64])
        #expect(try ImageTensors.images(tensor) == images)
        #expect(try ImageTensors.images(tensor, height: 64, width: 64) == images)
    }

    @Test func `what lies outside of 0...1 is limited, and a size is made to fit`() throws {
        let tensor = try Tensor([-1, 0.5, 7] as [Float], shape: [1, 3, 1, 1])
        let image = try #require(ImageTensors.images(tensor, height: 2, width: 3).first)
        #expect(image.width == 3 && image.height == 2)
        #expect(image.pixels == [UInt8](repeating: 0, count: 6).flatMap { _ in [0, 128, 255] as [UInt8] })
    }
}
