import Failures
import Glibc
import Torch

// cascade-bench lora [--updates N] [--threads N] [--device D] [--dtype float32|bfloat16] [--checkpointing]
//
// Prints one JSON line. Without Foundation, OpenCV and the system's libraries, so that the program can be carried to a
// machine that has only a libtorch and an engine compiled for it (CASCADE_ENGINE names the engine).
do {
    var options = LoRAUpdate.Options()
    var arguments = CommandLine.arguments.dropFirst()
    guard arguments.popFirst() == "lora" else {
        throw Failure.input(
            "unknown benchmark", expected: "lora", got: CommandLine.arguments.dropFirst().first ?? "none")
    }
    while let option = arguments.popFirst() {
        if option == "--checkpointing" {
            options.isCheckpointing = true
            continue
        }
        guard let value = arguments.popFirst() else { throw Failure.input("\(option) lacks its value") }
        switch option {
        case "--updates": options.updates = max(1, Int(value) ?? options.updates)
        case "--threads": options.threads = Int(value)
        case "--device": options.device = try Device(parsing: value)
        case "--dtype": options.dtype = value == "float32" ? .float32 : .bfloat16
        default: throw Failure.input("unknown option", got: option)
        }
    }
    print(try LoRAUpdate(options).run().text())
} catch {
    let text = "error: \(error)\n"
    _ = write(STDERR_FILENO, text, text.utf8.count)
    exit((error as? Failure)?.blame == .input ? 2 : 1)
}
