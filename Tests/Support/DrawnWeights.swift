/// Weights drawn from their own names, bit for bit as `Tests/Peers/peers/drawn.py` draws them.
///
/// Element i of the parameter KEY comes from a counter and a hash: `seed` is FNV-1a (64 bits) of KEY's bytes, `z` is
/// splitmix64 of `seed + (i + 1) * 0x9E3779B97F4A7C15`, and `u = ((z >> 40) - 2^23) / 2^23` lies in -1 ..< 1. What
/// becomes of u depends on KEY's last part; see ``values(key:shape:scale:)``.
public enum DrawnWeights {
    private static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// The elements of `key` in row-major order of `shape`.
    ///
    /// | last part | value |
    /// |---|---|
    /// | `running_var` | `scale * (1 + u / 4)` |
    /// | `running_mean` | `sqrt(scale) * u / 10` |
    /// | `weight` of one dimension | `1 + u / 4` |
    /// | `bias` | `u / 10` |
    /// | `gamma`, `beta` | `u / 4` |
    /// | anything else | `sqrt(3 / fanIn) * u`, fanIn being the elements per `shape[0]` |
    ///
    /// Where fanIn is even, the second half of each row is the first half negated.
    ///
    /// - Parameter scale: the batch norm's, which a golden stores as `scale.LAYER`; matters to its statistics only.
    public static func values(key: String, shape: [Int], scale: Float = 1) -> [Float] {
        let count = shape.reduce(1, *)
        let seed = seed(of: key)
        let scale = Double(scale)
        switch (kind(of: key), shape.count) {
        case ("running_var", _):
            return elements(count) { scale * (1 + uniform(seed, $0) / 4) }
        case ("running_mean", _):
            let deviation = scale.squareRoot()
            return elements(count) { deviation * (uniform(seed, $0) / 10) }
        case ("weight", 1):
            return elements(count) { 1 + uniform(seed, $0) / 4 }
        case ("bias", _):
            return elements(count) { uniform(seed, $0) / 10 }
        case ("gamma", _), ("beta", _):
            return elements(count) { uniform(seed, $0) / 4 }
        default:
            return rows(count: count, fanIn: shape.dropFirst().reduce(1, *), seed: seed)
        }
    }

    private static func rows(count: Int, fanIn: Int, seed: UInt64) -> [Float] {
        let bound = (3 / Double(fanIn)).squareRoot()
        guard fanIn.isMultiple(of: 2) else { return elements(count) { bound * uniform(seed, $0) } }
        let half = fanIn / 2
        return elements(count) { index in
            index % fanIn < half ? bound * uniform(seed, index) : bound * -uniform(seed, index - half)
        }
    }

    private static func elements(_ count: Int, _ element: (Int) -> Double) -> [Float] {
        [Float](unsafeUninitializedCapacity: count) { buffer, initialized in
            for index in 0..<count { buffer.initializeElement(at: index, to: Float(element(index))) }
            initialized = count
        }
    }

    private static func kind(of key: String) -> String {
        key.split(separator: ".").last.map(String.init) ?? key
    }

    private static func seed(of key: String) -> UInt64 {
        key.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }

    private static func uniform(_ seed: UInt64, _ index: Int) -> Double {
        var z = seed &+ (UInt64(index) &+ 1) &* increment
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z ^= z >> 31
        return (Double(z >> 40) - 8_388_608) / 8_388_608
    }
}
