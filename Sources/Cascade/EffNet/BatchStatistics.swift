import Layers
import Torch

/// Statistics of the batch norms of networks that were drawn from a seed and never trained.
///
/// Such a network yields numbers of no particular scale until every batch norm has seen data once.
public enum BatchStatistics {
    /// Whether a checkpoint's key counts training batches, which no network here reads.
    public static func isCounter(_ key: String) -> Bool { key.hasSuffix(".num_batches_tracked") }

    /// Runs `forward` once, in which each of `norms` takes the statistics of what reaches it before it normalises, so
    /// that later ones see what earlier ones already made of it.
    static func measure(_ norms: [BatchNorm], _ forward: () throws -> Tensor) throws {
        for norm in norms { norm.isMeasuring = true }
        defer { for norm in norms { norm.isMeasuring = false } }
        _ = try withoutGradients(forward)
    }
}
