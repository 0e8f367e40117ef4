/// Hands texts to a C door as an array of pointers, which end with the call.
func withCStrings<Result>(_ texts: [String], _ body: ([UnsafePointer<CChar>?]) -> Result) -> Result {
    func withRest(
        _ rest: ArraySlice<ContiguousArray<CChar>>, _ found: [UnsafePointer<CChar>?]
    ) -> Result {
        guard let text = rest.first else { return body(found) }
        return text.withUnsafeBufferPointer { withRest(rest.dropFirst(), found + [$0.baseAddress]) }
    }
    return withRest(texts.map(\.utf8CString)[...], [])
}

/// A message of another engine, which may span lines, as the one line that an error is.
func oneLine(_ message: String) -> String {
    message.split(whereSeparator: \.isNewline).joined(separator: " ")
}
