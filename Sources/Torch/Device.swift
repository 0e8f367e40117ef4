import CTorch
import Failures

/// Where a tensor lies.
public enum Device: Hashable, Sendable, CustomStringConvertible {
    /// Main memory and the processor.
    case cpu
    /// A CUDA device, counted from 0 among those that this process sees.
    case cuda(Int)

    /// Reads `cpu`, `cuda` or `cuda:N`.
    public init(parsing text: String) throws {
        switch text {
        case "cpu": self = .cpu
        case "cuda": self = .cuda(0)
        default:
            let digits = text.dropFirst(5)
            guard text.hasPrefix("cuda:"), digits.allSatisfy(\.isWholeNumber), let index = Int(digits) else {
                throw Failure.input("unknown device", expected: "cpu, cuda or cuda:N", got: text)
            }
            self = .cuda(index)
        }
    }

    /// The name that is read: "cpu" or "cuda:N".
    public var description: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let index): "cuda:\(index)"
        }
    }

    /// - Throws: a failure of the input where this machine has no such device.
    public func checkPresent() throws {
        guard case .cuda(let index) = self else { return }
        let count = try Engine.shared().cudaDevices
        if index >= count {
            throw Failure.input(
                "device \(self) is not there", expected: count == 0 ? "cpu" : "cpu or cuda:0 to cuda:\(count - 1)",
                got: description, advice: count == 0 ? "`cascade-adapt doctor` says what libtorch sees" : nil)
        }
    }

    /// Whether products of bfloat16 matrices run in hardware: on processors with AVX-512 BF16 or AMX, on CUDA from sm_80.
    public var isFastAtBFloat16: Bool {
        switch self {
        case .cpu: Processor.isFastAtBFloat16
        case .cuda(let index):
            (try? Engine.shared()).map { $0.table.pointee.cuda_capability(Int32(clamping: index)) >= 80 } ?? false
        }
    }

    var raw: CTorchDevice {
        switch self {
        case .cpu: CTorchDevice(type: 0, index: -1)
        case .cuda(let index): CTorchDevice(type: 1, index: Int32(clamping: index))
        }
    }

    init(raw: CTorchDevice) { self = raw.type == 0 ? .cpu : .cuda(Int(raw.index)) }
}
