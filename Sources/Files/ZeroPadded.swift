/// A number with zeros before it, up to a number of digits; one that has more keeps them.
/// - Parameter number: 0 or more.
public func zeroPadded(_ number: some BinaryInteger, digits: Int, radix: Int = 10) -> String {
    let text = String(number, radix: radix)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
}
