import COpenBLAS
import Failures

/// The library behind the products and decompositions.
public enum OpenBLAS {
    /// Lets one call use so many threads.
    public static func setThreads(_ count: Int) throws {
        let threads = try size(count)
        try check { copenblas_set_threads(threads, $0, $1) }
    }

    /// Runs a function of the door.
    /// - Throws: a failure of the run with the door's message.
    static func check(_ call: (UnsafeMutablePointer<CChar>?, Int) -> Int32) throws {
        var text = [CChar](repeating: 0, count: 512)
        let status = text.withUnsafeMutableBufferPointer { call($0.baseAddress, $0.count) }
        guard status != 0 else { return }
        let message = String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        throw Failure.run("the algebra failed", got: message, advice: "install libopenblas0 if it is missing")
    }

    /// A size as the library counts.
    static func size(_ count: Int) throws -> Int32 {
        guard let size = Int32(exactly: count) else {
            throw Failure.run("a matrix is too large for OpenBLAS", expected: "sides below 2^31", got: "\(count)")
        }
        return size
    }
}
