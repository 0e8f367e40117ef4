/// The sides of an upright image, in pixels.
public struct ImageSize: Hashable, Sendable {
    /// In pixels; any number, until ``isPossible`` is asked.
    public var width: Int
    /// In pixels; any number, until ``isPossible`` is asked.
    public var height: Int

    /// In pixels, without checking them.
    public init(width: Int, height: Int) { (self.width, self.height) = (width, height) }

    /// The sides that an image can be drawn with.
    public static let sides = 16...8192

    /// Whether both sides are within ``sides``.
    public var isPossible: Bool { [width, height].allSatisfy(Self.sides.contains) }
}
