/// What goes on beside the work of a pipeline; all that it tells, and whether it shall go on.
public struct GenerationHooks {
    /// Asked before each step.
    public var isStopped: () -> Bool = { false }
    /// A line for people.
    public var note: (String) -> Void = { _ in }
    /// Steps that are done, over all images and stages, of how many, and what goes on.
    public var progress: (_ done: Int, _ total: Int, _ stage: String) -> Void = { _, _, _ in }
    /// Seconds on a clock that only goes forward.
    public var now: () -> Double = { 0 }

    /// Tells nothing and never stops.
    public init() {}
}

/// A pipeline was asked to stop; what it had handed over stays.
public struct GenerationStopped: Error {}
