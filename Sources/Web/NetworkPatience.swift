import Failures
import Synchronization

/// How long a network that fails is waited for once there is work to lose, and what is said of it: a line for an outage
/// and one for its end, however many transfers it holds up.
///
/// Until ``begin()`` a client's ``WebClient/attempts`` decide: at a start somebody waits, and may have mistyped.
public final class NetworkPatience: Sendable {
    private struct State {
        var isBegun = false
        /// Transfers that wait for the network.
        var waiting = 0
        var began = ContinuousClock.now
    }

    private let state = Mutex(State())
    private let duration: Duration
    private let note: @Sendable (String) -> Void

    /// - Parameters:
    ///   - duration: how long one transfer tries again before its failure is told.
    ///   - note: told of an outage and of its end, for a person.
    public init(_ duration: Duration, note: @escaping @Sendable (String) -> Void) {
        self.duration = duration
        self.note = note
    }

    /// From now on the network is waited for.
    public func begin() { state.withLock { $0.isBegun = true } }

    /// How long a transfer tries again; nil until begun.
    var limit: Duration? { state.withLock { $0.isBegun ? duration : nil } }

    /// A transfer begins to wait.
    func enter(_ reason: String) {
        let isFirst = state.withLock { state in
            state.waiting += 1
            if state.waiting == 1 { state.began = .now }
            return state.waiting == 1
        }
        if isFirst { note("the network fails: \(reason); trying again for up to \(Self.text(duration))") }
    }

    /// A transfer waits no more.
    /// - Parameter isOver: whether it goes on; else it was given up.
    func leave(isOver: Bool) {
        let lasted: Duration? = state.withLock { state in
            state.waiting -= 1
            return state.waiting == 0 && isOver ? .now - state.began : nil
        }
        if let lasted { note("the network answers again, after \(Self.text(lasted))") }
    }

    private static func text(_ duration: Duration) -> String {
        let seconds = duration.inSeconds
        return seconds < 120 ? "\(Int(seconds.rounded(.up))) s" : "\(Int((seconds / 60).rounded())) min"
    }
}

/// The attempts at one thing on the network: waits between them, and says when the last has failed. They belong to one
/// thread at a time.
final class NetworkAttempts {
    /// The longest pause that nobody asked for, in seconds: a network that is back is not left waiting for long.
    private static let longestPause = 15.0

    private let client: WebClient
    private var failed = 0
    private var firstFailure: ContinuousClock.Instant?
    private var isWaiting = false

    init(_ client: WebClient) { self.client = client }

    deinit {
        if isWaiting { client.patience?.leave(isOver: false) }
    }

    /// Takes in that an attempt failed, and waits before the next.
    /// - Parameters:
    ///   - asked: seconds that the server asks to be left alone.
    ///   - failure: what is told where there is to be no further attempt.
    /// - Throws: that failure; `CancellationError`.
    func fail(_ reason: String, asked: Double? = nil, _ failure: @autoclosure () -> Failure) throws {
        failed += 1
        let now = ContinuousClock.now
        let began = firstFailure ?? now
        firstFailure = began
        let doubled = client.firstPause * Double(1 << min(failed - 1, 20))
        if let patience = client.patience, let limit = patience.limit {
            let left = (limit - (now - began)).inSeconds
            guard left > 0 else { throw failure() }
            if !isWaiting { patience.enter(reason) }
            isWaiting = true
            let pause = max(min(asked ?? 0, client.longestPause), min(doubled, Self.longestPause))
            try client.pause(min(pause, left))
        } else {
            guard failed < client.attempts else { throw failure() }
            let pause = min(max(asked ?? 0, doubled), client.longestPause)
            client.note("\(reason); trying again in \(Int(pause.rounded(.up))) s")
            try client.pause(pause)
        }
    }

    /// Takes in that one got on: what fails next is counted anew.
    func succeed() {
        (failed, firstFailure) = (0, nil)
        if isWaiting { client.patience?.leave(isOver: true) }
        isWaiting = false
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
