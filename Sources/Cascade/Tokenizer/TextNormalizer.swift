@_spi(_Unicode) import Swift

/// What happens to a caption before it is cut into words: composition (NFC), one space for each run of white space,
/// and lower case, scalar by scalar, without regard to what stands beside it.
enum TextNormalizer {
    static func normalize(_ scalars: some Collection<Unicode.Scalar>) -> [Unicode.Scalar] {
        var normalized: [Unicode.Scalar] = []
        normalized.reserveCapacity(scalars.count)
        if scalars.allSatisfy(\.isASCII) {
            for scalar in scalars { append(scalar, to: &normalized) }
        } else {
            var text = ""
            text.unicodeScalars.append(contentsOf: scalars)
            // The standard library composes strings to compare and hash them, and shows the result under this name
            // alone; Foundation, which offers it to everybody, stays out of the libraries.
            for scalar in text._nfc { append(scalar, to: &normalized) }
        }
        return normalized
    }

    private static func append(_ scalar: Unicode.Scalar, to normalized: inout [Unicode.Scalar]) {
        if scalar.properties.isWhitespace {
            if normalized.last != " " { normalized.append(" ") }
        } else {
            normalized.append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
        }
    }
}
