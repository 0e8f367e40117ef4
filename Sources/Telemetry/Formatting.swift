import Glibc

/// Four significant digits, such as `0.01234`, `12.5` or `1.2e-07`.
func significant(_ value: Double) -> String {
    var text = [CChar](repeating: 0, count: 32)
    withVaList([value]) { _ = vsnprintf(&text, text.count, "%.4g", $0) }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}

/// Seconds as `0:07`, `12:34` or `1:02:03`; as `?` where they are no number or past ten years.
func duration(_ seconds: Double) -> String {
    guard seconds >= 0, seconds < 10 * 365 * 86_400 else { return "?" }
    let whole = Int(seconds.rounded())
    let two = { (value: Int) in (value < 10 ? "0" : "") + String(value) }
    let (hours, minutes) = (whole / 3600, whole / 60 % 60)
    return (hours > 0 ? "\(hours):" + two(minutes) : "\(minutes)") + ":" + two(whole % 60)
}
