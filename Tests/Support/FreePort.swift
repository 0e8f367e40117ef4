import Failures
import Foundation

/// A TCP port of the loopback that nobody listens at now.
public func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) | getsockname(descriptor, $0, &length)
        }
    }
    guard status == 0 else { throw Failure.run("no port is free") }
    return Int(UInt16(bigEndian: address.sin_port))
}
