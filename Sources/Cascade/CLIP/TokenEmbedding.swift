import Layers
import Torch

/// How a text encoder turns token ids into vectors: its own table, or what an adapter puts in its place.
///
/// Learned tokens answer for rows of the table with a delta added, and for ids past its end; gradients then reach the
/// deltas, and the table never gets one.
public protocol TokenEmbedding: AnyObject {
    /// Ids that are known: 0 up to this number.
    var count: Int { get }

    /// - Parameter tokens: int64 [B, T], each below `count`, on the tower's device.
    /// - Returns: [B, T, c] in the dtype of the tower's table.
    func callAsFunction(_ tokens: Tensor) throws -> Tensor
}

/// The frozen table of a tower.
public final class TokenTable: TokenEmbedding {
    /// One row for each token, [n, c].
    public let weight: Tensor

    init(_ configuration: CLIPTextConfiguration, _ scope: Scope) throws {
        weight = try scope.table(
            "weight", [configuration.vocabulary, configuration.width], .normal(deviation: 0.02))
    }

    /// Rows of the table.
    public var count: Int { weight.size(0) }

    /// The rows of int64 ids [B, T], [B, T, c].
    public func callAsFunction(_ tokens: Tensor) throws -> Tensor { try weight.embedded(tokens) }
}
