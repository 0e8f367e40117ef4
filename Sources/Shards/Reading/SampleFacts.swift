import JSON

/// A sample with its JSON read once, for captions and filters.
struct SampleFacts {
    let sample: Sample
    /// The object in `json`; nil where there is none that can be read.
    let fields: JSON.Object?

    /// Whether there is a `json` in which no object can be read, though one was asked for.
    let isUnreadable: Bool

    /// The largest `json` that is read, in bytes.
    private static let limit = 4 << 20

    /// - Parameter wantsFields: whether anything asks for them; most data has its captions in texts and no filters.
    init(_ sample: Sample, wantsFields: Bool) {
        self.sample = sample
        guard wantsFields, let bytes = sample.json else {
            (fields, isUnreadable) = (nil, false)
            return
        }
        fields =
            bytes.count <= Self.limit
            ? (try? JSON.parse(bytes, file: sample.place, as: .python))?.objectValue : nil
        isUnreadable = fields == nil
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
