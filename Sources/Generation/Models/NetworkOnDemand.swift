/// A network that stays while it is asked for, and is let go where caches answer in its place.
public protocol ReleasableNetwork: AnyObject {
    /// Lets the network go; who asks again has it loaded.
    func release()
    /// Ends a turn, such as an update of training.
    /// - Returns: whether the network was let go, nobody having asked for it for a while.
    func endTurn() -> Bool
}

/// A frozen network that is loaded again when it is asked for after it was let go.
public final class NetworkOnDemand<Network>: ReleasableNetwork {
    private var network: Network?
    private let reload: () throws -> Network
    private var turnsUnasked = 0
    /// Turns that it stays without being asked for. Doubled whenever it goes, so that one which is asked for rarely is not
    /// loaded again and again.
    private var patience: Int

    /// - Parameter network: what `reload` makes, as it is there already.
    public init(_ network: Network, patience: Int = 16, reload: @escaping () throws -> Network) {
        self.network = network
        self.patience = patience
        self.reload = reload
    }

    /// Whether the network is in memory now.
    public var isLoaded: Bool { network != nil }

    /// The network.
    public func callAsFunction() throws -> Network {
        turnsUnasked = 0
        if let network { return network }
        let loaded = try reload()
        network = loaded
        return loaded
    }

    /// Lets the network go at once; the next call loads it again.
    public func release() { network = nil }

    /// Counts a turn, and lets the network go after more than `patience` turns in which nobody asked for it.
    public func endTurn() -> Bool {
        guard isLoaded else { return false }
        turnsUnasked += 1
        guard turnsUnasked > patience else { return false }
        patience *= 2
        release()
        return true
    }
}
