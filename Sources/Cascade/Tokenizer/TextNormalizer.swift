@_spi(_Unicode) import Swift

/// What happens to a caption before it is cut into words: composition (NFC), one space for each run of white space,
/// and lower case, scalar by scalar, without regard to what stands beside it.
enum TextNormalizer {
    static func normalize(_ scalars: some Collection<Unicode.Scalar>) -> [Unicode.Scalar] {
        var normalized: [Unicode.Scalar] = []
        normalized.reserveCapacity(scalars.count)
        var run = ""
        for scalar in scalars {
            if isComposable(scalar) {
                run.unicodeScalars.append(scalar)
            } else {
                compose(&run, into: &normalized)
                append(scalar, to: &normalized)
            }
        }
        compose(&run, into: &normalized)
        return normalized
    }

    /// The peer (tokenizers 0.23) composes by Unicode 9: what came later stays where it is and joins nothing.
    private static func isComposable(_ scalar: Unicode.Scalar) -> Bool {
        scalar.isASCII || (scalar.properties.age?.major ?? 0) <= 9
    }

    private static func compose(_ run: inout String, into normalized: inout [Unicode.Scalar]) {
        // The standard library composes strings to compare and hash them, and shows the result under this name alone;
        // Foundation, which offers it to everybody, stays out of the libraries.
        for scalar in run._nfc { append(scalar, to: &normalized) }
        run = ""
    }

    private static func append(_ scalar: Unicode.Scalar, to normalized: inout [Unicode.Scalar]) {
        if scalar.properties.isWhitespace {
            if normalized.last != " " { normalized.append(" ") }
        } else {
            normalized.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
        }
    }
}
