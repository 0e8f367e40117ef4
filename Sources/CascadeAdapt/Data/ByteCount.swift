import ArgumentParser

/// A number of bytes as a person writes it: `500MB`, `1.5GiB`, `10240`.
struct ByteCount: ExpressibleByArgument {
    let bytes: Int

    private static let units: [(name: String, bytes: Double)] = [
        ("kib", 0x1p10), ("mib", 0x1p20), ("gib", 0x1p30), ("tib", 0x1p40),
        ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12), ("b", 1), ("", 1),
    ]

    init?(argument: String) {
        let text = argument.lowercased()
        guard let unit = Self.units.first(where: { text.hasSuffix($0.name) }) else { return nil }
        let digits = text.dropLast(unit.name.count)
        guard !digits.isEmpty, digits.allSatisfy({ ("0"..."9").contains($0) || $0 == "." }),
            let number = Double(digits), let bytes = Int(exactly: (number * unit.bytes).rounded()), bytes > 0
        else { return nil }
        self.bytes = bytes
    }
}
