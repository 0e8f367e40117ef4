import Telemetry

/// What asks a run to save and end before its last update.
public struct RunInterruption: Sendable {
    /// Called once, as soon as there is something to save: what was asked for before does not count.
    public var begin: @Sendable () -> Void
    /// Whether the run is to end. Asked before every update.
    public var isRequested: @Sendable () -> Bool

    /// - Parameters:
    ///   - begin: called once, as soon as there is something to save.
    ///   - isRequested: whether the run is to end; asked before every update.
    public init(begin: @escaping @Sendable () -> Void = {}, isRequested: @escaping @Sendable () -> Bool) {
        self.begin = begin
        self.isRequested = isRequested
    }

    /// The signals of this process.
    public static let signals = RunInterruption(begin: Interruption.install) { Interruption.isRequested }

    /// Nothing does.
    public static let none = RunInterruption { false }
}
