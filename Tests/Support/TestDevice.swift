import Foundation
import Torch

/// Where tests compute: `CASCADE_TEST_DEVICE`, such as `cuda`, or else the CPU.
public func testDevice() throws -> Device {
    let device = try Device(parsing: ProcessInfo.processInfo.environment["CASCADE_TEST_DEVICE"] ?? "cpu")
    try device.checkPresent()
    return device
}
