/// The sides of an upright image, in pixels.
public struct ImageSize: Hashable, Sendable {
    public var width: Int
    public var height: Int

    public init(width: Int, height: Int) { (self.width, self.height) = (width, height) }

    /// The sides that an image can be drawn with.
    public static let sides = 16...8192

    public var isPossible: Bool { [width, height].allSatisfy(Self.sides.contains) }
}
