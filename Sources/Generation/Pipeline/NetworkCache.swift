import Torch

/// Holds networks while they are used, and longer where that is asked for.
final class NetworkCache {
    private let keeps: Bool
    private var kept: [String: Any] = [:]

    init(keeps: Bool) { self.keeps = keeps }

    /// What `body` makes with a network, which is gone afterwards unless it is kept.
    func with<Network, Result>(
        _ name: String, _ load: () throws -> Network, _ body: (Network) throws -> Result
    ) throws -> Result {
        // Mapped pages go with the last reference; what the allocator keeps of activations has to be asked for.
        defer { if !keeps { Engine.releaseMemory() } }
        return try body(network(name, load))
    }

    private func network<Network>(_ name: String, _ load: () throws -> Network) throws -> Network {
        if let known = kept[name] as? Network { return known }
        let loaded = try load()
        if keeps { kept[name] = loaded }
        return loaded
    }
}
