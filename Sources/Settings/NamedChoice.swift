extension Setting {
    /// Reads one of several things: its name alone, or a mapping with `name` and the values that it takes.
    ///
    /// - Parameter makers: what makes the thing from its values, by name.
    /// - Throws: at a name that is not among them and at a value that the thing does not take, with the nearest one.
    public func choice<Value>(among makers: KeyValuePairs<String, (inout Fields) throws -> Value>) throws -> Value {
        let values = members == nil ? Setting(.null, at: place, path: path).gathered(by: effective) : self
        var fields = try Fields(values)
        let name: String = try members == nil ? read() : fields.required("name")
        guard let maker = makers.first(where: { $0.key == name }) else {
            let names = makers.map(\.key)
            throw (self["name"] ?? self).refusal(
                expected: "one of " + names.joined(separator: ", "),
                advice: nearestName(to: name, among: names).map { "Did you mean \"\($0)\"?" })
        }
        let value = try maker.value(&fields)
        try fields.finish()
        return value
    }
}
