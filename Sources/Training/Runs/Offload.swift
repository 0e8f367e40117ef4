import Failures
import Settings
import Torch

/// `offload`: how many blocks of an adapter's frozen base wait in host memory, or auto, which is all of them.
enum Offload: Equatable, SettingReadable {
    case auto
    case blocks(Int)

    /// Blocks that wait, where the base has so many.
    var count: Int { if case .blocks(let count) = self { count } else { .max } }

    static var expectation: String { "auto, or a whole number that is at least 1" }

    static func read(_ setting: Setting) throws -> Self {
        if setting.text == "auto" { return .auto }
        guard let count = try? Int.read(setting), count >= 1 else { throw setting.refusal(expected: expectation) }
        return .blocks(count)
    }

    /// Reads the key where it is.
    /// - Parameters:
    ///   - trainsWhole: whether a stage is trained whole.
    ///   - isSharded: whether `use_fsdp` is set.
    static func read(_ fields: inout Fields, trainsWhole: Bool, isSharded: Bool) throws -> Offload? {
        let setting = fields.setting["offload"] ?? fields.setting
        if trainsWhole {
            // A key that only adapters have.
            guard fields.contains("offload") else { return nil }
            throw setting.refusal(
                expected: "an adapter on a frozen base",
                advice:
                    "A stage that is trained whole is stepped where it lies: look at `fused_backward` and `optimizer`.")
        }
        guard let offload: Offload = try fields.optional("offload") else { return nil }
        if isSharded {
            throw setting.refusal(
                expected: "`use_fsdp: false` beside it",
                advice: "With `use_fsdp` the blocks come from the other processes, with `offload` from host memory.")
        }
        return offload
    }
}

extension RunConfiguration {
    /// - Throws: a failure of the input where blocks are to wait in the memory that they are computed in.
    func checkOffload(on device: Device) throws {
        guard offload != nil, device == .cpu else { return }
        throw Failure.input(
            "`offload` is for `--device cuda`: on the CPU the base lies in host memory already", at: places.offload,
            expected: "no `offload`", got: "--device \(device)", advice: "`base_dtype: nf4` makes the base smaller")
    }
}
