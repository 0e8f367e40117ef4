/// All that is logged of one update, under the names of `metrics.jsonl`.
public struct LogEntry: Sendable {
    /// Updates done in all; 0 for what is measured before the first.
    public let step: Int
    /// What the update measured; nil before the first.
    public let metrics: UpdateMetrics?
    /// What was measured beside it, such as `validation_loss`.
    public var measured: [(name: String, value: Double)] = []
    /// Images such as the preview, for TensorBoard and W&B.
    public var images: [LoggedImage] = []
    /// What tells the update's samples from all others, where they are worth a word.
    public var samples: [String] = []

    /// With the numbers of an update alone.
    public init(_ metrics: UpdateMetrics) {
        step = metrics.step
        self.metrics = metrics
    }

    /// What was measured before the first update.
    init(before measured: [(name: String, value: Double)]) {
        step = 0
        metrics = nil
        self.measured = measured
    }

    /// Every number but the step.
    var scalars: [(name: String, value: Double)] { (metrics?.scalars ?? []) + measured }
}

/// An image as a JPEG file.
public struct LoggedImage: Sendable {
    /// What it shows: letters, digits and `_`.
    public var name: String
    /// The bytes of a whole JPEG file.
    public var jpeg: [UInt8]
    /// In pixels.
    public var width: Int
    /// In pixels.
    public var height: Int

    /// - Parameters:
    ///   - name: what it shows: letters, digits and `_`.
    ///   - jpeg: the bytes of a whole JPEG file.
    ///   - width: in pixels.
    ///   - height: in pixels.
    public init(name: String, jpeg: [UInt8], width: Int, height: Int) {
        self.name = name
        self.jpeg = jpeg
        self.width = width
        self.height = height
    }
}
