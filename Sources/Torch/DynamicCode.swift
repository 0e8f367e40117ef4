import Glibc

/// The 256 numbers that eight bits stand for: dense near one, sparse towards zero.
///
/// Seven decades below one, each cut into equal parts, twice as many in each decade as in the one below it; an element
/// is the middle of its part. With zero and one, and with a sign the same below zero but for one. Sources: Dettmers
/// 2016, "8-Bit Approximations for Parallelism in Deep Learning"; bitsandbytes' create_dynamic_map.
public enum DynamicCode {
    /// Elements that share a scale.
    public static let block = 256

    /// Ascending, [256].
    public static func values(signed: Bool) -> [Float] {
        var values: [Double] = [0, 1]
        for decade in 0..<7 {
            let parts = 1 << (signed ? decade : decade + 1)
            for part in 0..<parts {
                let middle = 0.1 + 0.9 * (Double(part) + 0.5) / Double(parts)
                let value = middle * pow(10, Double(decade - 6))
                values += signed ? [value, -value] : [value]
            }
        }
        return values.sorted().map(Float.init)
    }

    /// Blocks of so many elements.
    public static func blocks(_ count: Int) -> Int { (count + block - 1) / block }
}
