import Foundation

/// The clocks that a run reads.
public struct RunClock: Sendable {
    /// Seconds on a clock that only goes forward.
    public var seconds: @Sendable () -> Double
    /// Seconds since 1970.
    public var date: @Sendable () -> Double

    /// - Parameters:
    ///   - seconds: on a clock that only goes forward.
    ///   - date: seconds since 1970.
    public init(seconds: @escaping @Sendable () -> Double, date: @escaping @Sendable () -> Double) {
        self.seconds = seconds
        self.date = date
    }

    /// Those of the machine.
    public static let system = RunClock(
        seconds: { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }, date: { Date().timeIntervalSince1970 })
}
