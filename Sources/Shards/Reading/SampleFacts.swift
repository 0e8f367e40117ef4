import JSON

/// A sample with its JSON read once, for captions and filters.
struct SampleFacts {
    let sample: Sample
    /// The object in `json`; nil where there is none that can be read.
    let fields: JSON.Object?

    /// The largest `json` that is read, in bytes.
    private static let limit = 4 << 20

    /// - Parameter wantsFields: whether anything asks for them; most data has its captions in texts and no filters.
    init(_ sample: Sample, wantsFields: Bool) {
        self.sample = sample
        guard wantsFields, let bytes = sample.json, bytes.count <= Self.limit else {
            fields = nil
            return
        }
        fields = bytes.withUnsafeBytes { try? JSON.parse($0, file: sample.place) }?.objectValue
    }

    /// A field by its name, or by the names on the way to it joined by dots.
    subscript(field: String) -> JSON? {
        guard let fields else { return nil }
        if let value = fields[field] { return value }
        var value: JSON? = .object(fields)
        for name in field.split(separator: ".") { value = value?[String(name)] }
        return value
    }
}
